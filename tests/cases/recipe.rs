//! The tokens of a case: a valid token with the changes that the recipe names.

use serde_json::{Map, Value};

use crate::support::tokens::{self, Signer};

/// Signs the token that a recipe (TOML lines) describes.
pub(super) fn token(lines: &[String]) -> Result<String, String> {
    let recipe: toml::Table =
        toml::from_str(&lines.join("\n")).map_err(|fault| fault.to_string())?;
    let recipe = serde_json::to_value(recipe).map_err(|fault| fault.to_string())?;
    let recipe = recipe.as_object().cloned().unwrap_or_default();
    let signer = signer(&recipe)?;
    let mut header = tokens::good_header(signer);
    let mut claims = tokens::good_claims();
    let mut extras = [String::new(), String::new()];
    for (key, value) in &recipe {
        match (key.as_str(), value) {
            ("signer", _) => {}
            ("header", Value::Object(members)) => header.extend(members.clone()),
            ("claims", Value::Object(members)) => claims.extend(members.clone()),
            ("without", Value::Array(names)) => remove(names, &mut header, &mut claims)?,
            ("expires_in" | "valid_in" | "issued_in", Value::Number(seconds)) => {
                let name = match key.as_str() {
                    "expires_in" => "exp",
                    "valid_in" => "nbf",
                    _ => "iat",
                };
                let at = tokens::now() + seconds.as_i64().unwrap_or_default();
                claims.insert(name.to_owned(), at.into());
            }
            ("header_text", Value::String(text)) => extras[0].clone_from(text),
            ("claims_text", Value::String(text)) => extras[1].clone_from(text),
            _ => return Err(format!("`{key}` is no part of a token's recipe")),
        }
    }
    let [header_text, claims_text] = &extras;
    Ok(tokens::sign_text(
        signer,
        &spliced(&header, header_text),
        &spliced(&claims, claims_text),
    ))
}

/// The object as text with `text` (for example `"iss":"x"`) appended as a member; only `text` if it
/// is not a member.
fn spliced(object: &Map<String, Value>, text: &str) -> String {
    let whole = Value::Object(object.clone()).to_string();
    match text {
        "" => whole,
        member if member.starts_with('"') => {
            format!("{},{member}}}", whole.trim_end_matches('}'))
        }
        other => other.to_owned(),
    }
}

fn signer(recipe: &Map<String, Value>) -> Result<Signer, String> {
    Ok(match recipe.get("signer").map(Value::as_str) {
        None | Some(Some("main")) => Signer::Main,
        Some(Some("edwards")) => Signer::Edwards,
        Some(Some("other")) => Signer::Other,
        Some(Some("impostor")) => Signer::Impostor,
        Some(Some("symmetric")) => Signer::Symmetric,
        Some(Some("nobody")) => Signer::Nobody,
        Some(_) => return Err("there is no such signer".to_owned()),
    })
}

fn remove(
    names: &[Value],
    header: &mut Map<String, Value>,
    claims: &mut Map<String, Value>,
) -> Result<(), String> {
    for name in names.iter().filter_map(Value::as_str) {
        if claims.remove(name).is_none() && header.remove(name).is_none() {
            return Err(format!("a good token has no `{name}` to be without"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn parts(recipe: &str) -> (String, String) {
        let lines: Vec<String> = recipe.lines().map(str::to_owned).collect();
        let token = token(&lines).unwrap();
        let mut parts = token.split('.').map(|part| {
            String::from_utf8_lossy(&URL_SAFE_NO_PAD.decode(part).unwrap()).into_owned()
        });
        (parts.next().unwrap(), parts.next().unwrap())
    }

    #[test]
    fn a_recipe_changes_only_the_named_parts() {
        let (header, claims) =
            parts("claims.sub = \"bob\"\nheader.typ = \"x\"\nwithout = [\"aud\"]");
        assert!(header.contains(r#""typ":"x""#) && header.contains(r#""alg":"ES256""#));
        assert!(claims.contains(r#""sub":"bob""#) && claims.contains(r#""iss":"#));
        assert!(!claims.contains("aud"));
    }

    #[test]
    fn a_recipe_can_duplicate_a_member_or_replace_the_text() {
        let (_, claims) = parts(r#"claims_text = '"sub":"eve"'"#);
        assert_eq!(claims.matches(r#""sub":"#).count(), 2);
        let (header, _) = parts("header_text = '[]'");
        assert_eq!(header, "[]");
    }

    #[test]
    fn an_invalid_recipe_fails() {
        for line in ["claim.sub = 1", "signer = \"x\"", "without = [\"x\"]", "="] {
            assert!(token(&[line.to_owned()]).is_err(), "{line}");
        }
    }
}
