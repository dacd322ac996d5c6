//! Parses a query. The parser compares parameter names after percent-decoding; the gateway forwards
//! the query unchanged.
//!
//! Some servers split a query at `;` as well as at `&`, so the parser looks for names after both.

use super::path::escaped_byte;

/// The parameters of a query that the gateway checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The raw (undecoded) value of each parameter `v` after `?` or `&`; `None` for a `v` without
    /// `=`.
    pub versions: Vec<Option<String>>,
    /// The number of parameters `v` after a `;`. A `v` inside the value of another `v` belongs to
    /// that value and does not count.
    pub versions_after_semicolon: usize,
    /// The raw value of each parameter `ids` after `?` or `&`; `None` for an `ids` without `=`.
    pub ids: Vec<Option<String>>,
    /// The number of parameters `ids` after a `;`. An `ids` inside the value of a `v` does not
    /// count.
    pub ids_after_semicolon: usize,
    /// Whether any parameter, after `?`, `&` or `;`, overrides the method. An example is `_method`.
    pub method: bool,
}

/// Why the parameter `v` does not match the required version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionFault {
    /// The query has no `v` with a value.
    Missing,
    /// The value of `v` is not the required version.
    Unsupported,
    /// The query has more than one `v`.
    Ambiguous,
}

impl Query {
    /// Parses a query without its `?`. Refuses a parameter name with a broken escape.
    pub fn parse(query: &str) -> Result<Self, &'static str> {
        let mut found = Self::default();
        for parameter in query.split('&') {
            found.read_parameter(parameter)?;
        }
        Ok(found)
    }

    /// Checks that the query has exactly one `v` and that its value is exactly `wanted`.
    pub fn check_version(&self, wanted: &str) -> Result<(), VersionFault> {
        if self.versions.len() + self.versions_after_semicolon > 1 {
            return Err(VersionFault::Ambiguous);
        }
        match self.versions.first() {
            None | Some(None) => Err(VersionFault::Missing),
            Some(Some(value)) if value == wanted => Ok(()),
            Some(Some(_)) => Err(VersionFault::Unsupported),
        }
    }

    /// Reads the text between two `&`. For a server that also splits at `;`, this text can be
    /// several parameters.
    fn read_parameter(&mut self, parameter: &str) -> Result<(), &'static str> {
        let (first, after) = match parameter.split_once(';') {
            Some((first, after)) => (first, Some(after)),
            None => (parameter, None),
        };
        let (name, value) = match first.split_once('=') {
            // The value ends at the next `&` and includes any `;`.
            Some((name, _)) => (name, parameter.get(name.len() + 1..)),
            None => (first, None),
        };
        let kind = Name::of(name)?;
        match kind {
            Name::Version => self.versions.push(value.map(str::to_owned)),
            Name::Ids => self.ids.push(value.map(str::to_owned)),
            Name::Method => self.method = true,
            Name::Other => {}
        }
        let inside_version = value.is_some() && kind == Name::Version;
        after.map_or(Ok(()), |after| {
            self.read_after_semicolon(after, inside_version)
        })
    }

    fn read_after_semicolon(
        &mut self,
        after: &str,
        inside_version: bool,
    ) -> Result<(), &'static str> {
        for part in after.split(';') {
            let name = part.split_once('=').map_or(part, |(name, _)| name);
            match Name::of(name) {
                // The gateway refuses an override at any position.
                Ok(Name::Method) => self.method = true,
                // The `;` is part of the value of `v`, so the version check refuses that value.
                _ if inside_version => {}
                Err(fault) => return Err(fault),
                Ok(Name::Version) => self.versions_after_semicolon += 1,
                Ok(Name::Ids) => self.ids_after_semicolon += 1,
                Ok(Name::Other) => {}
            }
        }
        Ok(())
    }
}

/// What a parameter's name means to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Version,
    Ids,
    Method,
    Other,
}

impl Name {
    /// Percent-decodes a name in a single pass, and classifies the result.
    fn of(raw: &str) -> Result<Self, &'static str> {
        // The buffer is large enough for every name that the gateway checks. A longer name is still
        // decoded, but only to find broken escapes.
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

/// The size of the buffer for a decoded name. The buffer is large enough for every name that the
/// gateway checks, and for the leading characters that lenient servers trim.
const LONGEST_NAME: usize = 32;

/// Whether some server would let a parameter of this name override the method. Such names are
/// `_method` and the names of the headers for method overrides, in upper or lower case. PHP and
/// others ignore leading spaces and read `.` as `_`, so these spellings count too.
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
