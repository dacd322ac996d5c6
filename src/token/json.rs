//! Strict JSON for tokens and keys: one object, no duplicate name at any depth, bounded nesting.
//!
//! serde_json alone keeps the last of two equal names and accepts an array for a struct. Either
//! behavior could let two readers of one token see different claims.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

/// The maximum depth of nested objects and lists, the outermost included.
const MAX_DEPTH: usize = 8;

/// A JSON object whose names are unique.
pub(super) type Object = Map<String, Value>;

/// Parses a text that is exactly one object.
pub(super) fn object(bytes: &[u8]) -> Option<Object> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Depth(MAX_DEPTH).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// How many more levels of nesting the reader may enter.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn within<E: Error>(self) -> Result<Self, E> {
        match self.0.checked_sub(1) {
            Some(left) => Ok(Self(left)),
            None => Err(E::custom("nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let within = self.within()?;
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(within)? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let within = self.within()?;
        let mut object = Object::new();
        while let Some(name) = map.next_key::<String>()? {
            match object.entry(name) {
                Entry::Occupied(_) => return Err(A::Error::custom("a name appears twice")),
                Entry::Vacant(place) => place.insert(map.next_value_seed(within)?),
            };
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_an_array() {
        for text in ["[]", "[1,null,\"s\"]", "1", "\"s\"", "null", "true", ""] {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_name_twice_also_escaped_and_at_any_depth() {
        for text in [
            r#"{"exp":1,"exp":1}"#,
            r#"{"exp":1,"\u0065xp":2}"#,
            r#"{"accounts":["1"],"a":1,"accounts":["2"]}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[[{"b":1,"\u0062":1}]]}"#,
        ] {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
        assert!(object(br#"{"a":{"b":1},"b":{"a":1}}"#).is_some());
    }

    #[test]
    fn nesting_is_bounded_at_8() {
        let nested =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(object(nested(7).as_bytes()).is_some());
        assert!(object(nested(8).as_bytes()).is_none());
        assert!(object(nested(4000).as_bytes()).is_none());
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "{",
            "{}}",
            "{} {}",
            "\u{feff}{}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{a:1}",
            "{\"a\":1e400}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":NaN}",
        ] {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), None);
        assert_eq!(object(b"{\"a\":\"\n\"}"), None);
    }

    #[test]
    fn numbers_keep_their_kind() {
        let read = object(br#"{"a":18446744073709551615,"b":-1,"c":1.5,"d":18446744073709551616}"#);
        let read = read.unwrap();
        assert_eq!(read["a"], u64::MAX);
        assert_eq!(read["b"], -1);
        assert_eq!(read["c"], 1.5);
        assert!(read["d"].is_f64());
    }
}
