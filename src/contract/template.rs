//! The path template of an operation: literal segments, `{account}` and `{user}`. The match is byte
//! for byte.

use super::path;

/// The path template of an operation or of a closed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Account,
    User,
}

/// The values of `{account}` and `{user}` in a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts<'p> {
    pub(super) account: Option<&'p str>,
    pub(super) user: Option<&'p str>,
}

impl Template {
    /// Parses a template such as `/account/{account}/users/{user}`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let filled = text.replace("{account}", "1").replace("{user}", "1");
        path::check(&filled).map_err(|fault| match filled.contains(['{', '}']) {
            true => "only {base}, {account} and {user} may be in braces".to_owned(),
            false => fault.to_owned(),
        })?;
        let segments: Vec<Segment> = text.split('/').skip(1).map(Segment::parse).collect();
        let half_named =
            |segment: &Segment| matches!(segment, Segment::Literal(text) if text.contains('{'));
        if segments.iter().any(half_named) {
            return Err("{account} and {user} must each fill a whole segment".to_owned());
        }
        let template = Self { segments };
        if template.count(&Segment::Account) > 1 || template.count(&Segment::User) > 1 {
            return Err("{account} and {user} may each appear only once".to_owned());
        }
        Ok(template)
    }

    pub(super) fn has_account(&self) -> bool {
        self.count(&Segment::Account) > 0
    }

    pub(super) fn has_user(&self) -> bool {
        self.count(&Segment::User) > 0
    }

    /// The values of `{account}` and `{user}` in a path that passed [`path::check`]; `None` if the
    /// path does not match the template.
    pub(super) fn matches<'p>(&self, path: &'p str) -> Option<Parts<'p>> {
        // Most templates differ in the last segment, so check the last segment first. This saves
        // 1,000 instructions per request, 2 % of the cost of a read.
        if let Some(Segment::Literal(last)) = self.segments.last()
            && !path.ends_with(last.as_str())
        {
            return None;
        }
        let mut rest = path;
        let mut parts = Parts::default();
        for wanted in &self.segments {
            rest = rest.strip_prefix('/')?;
            let end = match wanted {
                Segment::Literal(text) => text.len(),
                Segment::Account | Segment::User => {
                    rest.bytes().position(|b| b == b'/').unwrap_or(rest.len())
                }
            };
            let (segment, after) = rest.split_at_checked(end)?;
            match wanted {
                Segment::Literal(text) if text == segment => {}
                Segment::Literal(_) => return None,
                Segment::Account => parts.account = Some(segment),
                Segment::User => parts.user = Some(segment),
            }
            // If the path's segment is longer than the literal, `rest` does not begin with a slash,
            // and the match fails.
            rest = after;
        }
        rest.is_empty().then_some(parts)
    }

    /// Whether this template ends in `{user}`, and `other` is the same path with or without this
    /// last segment.
    pub(super) fn is_of_one_user<'s>(&'s self, other: &'s Self) -> bool {
        let base = |segments: &'s [Segment]| segments.strip_suffix(&[Segment::User]);
        base(&self.segments) == Some(base(&other.segments).unwrap_or(&other.segments))
    }

    /// The path with these values filled in.
    pub(super) fn fill(&self, account: &str, user: &str) -> String {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => text,
            Segment::Account => account,
            Segment::User => user,
        });
        segments.fold(String::new(), |path, segment| path + "/" + segment)
    }

    /// Whether some path matches both templates.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.every_pair(other, |mine, theirs| match (mine, theirs) {
            (Segment::Literal(mine), Segment::Literal(theirs)) => mine == theirs,
            _ => true,
        })
    }

    /// Whether this template matches every path that `other` matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.every_pair(other, |mine, theirs| match mine {
            Segment::Literal(_) => mine == theirs,
            _ => true,
        })
    }

    fn every_pair(&self, other: &Self, holds: impl Fn(&Segment, &Segment) -> bool) -> bool {
        self.segments.len() == other.segments.len()
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|(mine, theirs)| holds(mine, theirs))
    }

    fn count(&self, wanted: &Segment) -> usize {
        self.segments
            .iter()
            .filter(|segment| *segment == wanted)
            .count()
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text {
            "{account}" => Self::Account,
            "{user}" => Self::User,
            literal => Self::Literal(literal.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    #[test]
    fn a_match_returns_the_parts_unchecked() {
        let user = template("/account/{account}/users/{user}");
        let parts = user.matches("/account/a-b/users/0").unwrap();
        assert_eq!((parts.account, parts.user), (Some("a-b"), Some("0")));
        assert!(user.has_account() && user.has_user());
    }

    #[test]
    fn segments_are_compared_byte_for_byte() {
        let base = template("/account/{account}/users");
        for path in [
            "/account/1/Users",
            "/account/1/user",
            "/account/1/userss",
            "/account/1",
            "/account/1/users/2",
            "/x/account/1/users",
            "/account/users",
            "account/1/users",
            "/account/1/%75sers",
        ] {
            assert_eq!(base.matches(path), None, "{path}");
        }
    }

    #[test]
    fn templates_that_cannot_match_a_plain_path_are_refused() {
        for text in [
            "",
            "users",
            "/users/",
            "//users",
            "/users/..",
            "/us%65rs",
            "/users;x",
            "/{id}",
            "/u{user}",
            "/{user}.json",
            "/{account}/{account}",
            "/{user}/{user}",
            "/{",
            "/{Account}",
            "/a b",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn overlap_and_cover_are_told_apart() {
        let (user, query) = (template("/{account}/{user}"), template("/{account}/query"));
        assert!(user.overlaps(&query) && query.overlaps(&user));
        assert!(user.covers(&query) && !query.covers(&user));
        assert!(!query.overlaps(&template("/{account}/batch")));
        assert!(!user.overlaps(&template("/{account}/{user}/x")));
        assert!(template("/a/{user}").overlaps(&template("/{account}/b")));
    }
}
