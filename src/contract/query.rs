//! What a query says, with names compared after percent-decoding; the query itself goes upstream as it is.
//!
//! Some servers split a query at `;` as they do at `&`, so names are looked for behind both.

use super::path::escaped_byte;

/// What was found in a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The raw (undecoded) value of each `v` found after `?` or `&`; `None` for a bare `v`.
    pub versions: Vec<Option<String>>,
    /// How many `v` were found after `;` only (not inside the value of a `v`: that stays in its value).
    pub versions_behind_semicolon: usize,
    /// The raw value of each `ids` found after `?` or `&`; `None` for a bare one.
    pub ids: Vec<Option<String>>,
    /// How many `ids` were found after `;` only (not inside the value of a `v`).
    pub ids_behind_semicolon: usize,
    /// Whether a parameter that overrides the method, such as `_method`, stands anywhere, after `&` or `;`.
    pub method: bool,
}

/// Why `v` is not what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionFault {
    /// There is none.
    Missing,
    /// It is another one.
    Unsupported,
    /// There is more than one.
    Ambiguous,
}

impl Query {
    /// Reads a query (without its `?`).
    ///
    /// # Errors
    /// A broken escape in a name.
    pub fn parse(query: &str) -> Result<Self, &'static str> {
        let mut found = Self::default();
        for parameter in query.split('&') {
            found.read_parameter(parameter)?;
        }
        Ok(found)
    }

    /// Judges `v` as product.md §5 says: exactly once, exactly `wanted`.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check_version(&self, wanted: &str) -> Result<(), VersionFault> {
        if self.versions.len() + self.versions_behind_semicolon > 1 {
            return Err(VersionFault::Ambiguous);
        }
        match self.versions.first() {
            None | Some(None) => Err(VersionFault::Missing),
            Some(Some(value)) if value == wanted => Ok(()),
            Some(Some(_)) => Err(VersionFault::Unsupported),
        }
    }

    /// Reads what stands between two `&`: a parameter, and whatever it is to a reader that splits at `;`.
    fn read_parameter(&mut self, parameter: &str) -> Result<(), &'static str> {
        let (first, behind) = match parameter.split_once(';') {
            Some((first, behind)) => (first, Some(behind)),
            None => (parameter, None),
        };
        let (name, has_value) = match first.split_once('=') {
            Some((name, _)) => (name, true),
            None => (first, false),
        };
        // The value reaches to the next `&`, `;` and all.
        let value = || {
            has_value.then(|| {
                parameter
                    .get(name.len() + 1..)
                    .unwrap_or_default()
                    .to_owned()
            })
        };
        let kind = Name::of(name)?;
        match kind {
            Name::Version => self.versions.push(value()),
            Name::Ids => self.ids.push(value()),
            Name::Method => self.method = true,
            Name::Other => {}
        }
        let inside_version = has_value && kind == Name::Version;
        behind.map_or(Ok(()), |behind| {
            self.read_behind_semicolon(behind, inside_version)
        })
    }

    fn read_behind_semicolon(
        &mut self,
        behind: &str,
        inside_version: bool,
    ) -> Result<(), &'static str> {
        for part in behind.split(';') {
            let name = part.split_once('=').map_or(part, |(name, _)| name);
            match Name::of(name) {
                // An override is never let through, wherever it hides.
                Ok(Name::Method) => self.method = true,
                // The value of that `v` is then another one, which is refused as such.
                _ if inside_version => {}
                Err(fault) => return Err(fault),
                Ok(Name::Version) => self.versions_behind_semicolon += 1,
                Ok(Name::Ids) => self.ids_behind_semicolon += 1,
                Ok(Name::Other) => {}
            }
        }
        Ok(())
    }
}

/// The names that the gateway judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Version,
    Ids,
    Method,
    Other,
}

impl Name {
    /// Decodes a name once and tells which it is.
    fn of(raw: &str) -> Result<Self, &'static str> {
        // No judged name is longer; what is longer is decoded all the same, for broken escapes.
        let mut decoded = [0_u8; LONGEST_NAME];
        let mut length = 0;
        let mut rest = raw.as_bytes();
        while let [byte, after @ ..] = rest {
            let (byte, after) = match byte {
                b'%' => (
                    escaped_byte(after).ok_or("a query name has a broken percent-escape")?,
                    after.get(2..).unwrap_or_default(),
                ),
                byte => (*byte, after),
            };
            if let Some(place) = decoded.get_mut(length) {
                *place = byte;
            }
            length += 1;
            rest = after;
        }
        Ok(match decoded.get(..length) {
            Some(b"v") => Self::Version,
            Some(b"ids") => Self::Ids,
            Some(name) if overrides_method(name) => Self::Method,
            _ => Self::Other,
        })
    }
}

/// Longer than any name that is judged, with room for what lenient servers trim off.
const LONGEST_NAME: usize = 32;

/// Parameters by which servers let a query override the method: `_method` in any case, as PHP and
/// others read it (leading spaces and dots dropped, `.` for `_`), and the headers of that purpose.
fn overrides_method(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [
        b"_method",
        b".method",
        b"x-http-method-override",
        b"x-http-method",
        b"x-method-override",
    ];
    let name = name.trim_ascii();
    let plain = |start: usize| name.get(start..).unwrap_or_default();
    let skipped = name.iter().take_while(|byte| **byte == b'+').count();
    NAMES
        .iter()
        .any(|known| plain(skipped).eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests;
