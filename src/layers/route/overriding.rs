//! `X-HTTP-Method-Override` decides what upstream does, so it decides what is judged.

use http::HeaderMap;

use super::head::malformed;
use crate::refusal::Checked;
use crate::request::METHOD_OVERRIDE;

/// The value of the override header, if there is one.
pub(super) fn read(headers: &HeaderMap) -> Checked<Option<&str>> {
    let mut values = headers.get_all(METHOD_OVERRIDE).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return malformed("X-HTTP-Method-Override appears more than once").refuse();
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => malformed("X-HTTP-Method-Override holds bytes beyond visible ASCII").refuse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn none_and_one_are_read() {
        assert_eq!(read(&headers(&[])).unwrap(), None);
        let one = headers(&[("x-http-method-override", "DELETE")]);
        assert_eq!(read(&one).unwrap(), Some("DELETE"));
    }

    #[test]
    fn two_are_refused() {
        let name = "x-http-method-override";
        assert!(read(&headers(&[(name, "PUT"), (name, "PUT")])).is_err());
    }
}
