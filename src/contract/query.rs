//! Parses a query and compares parameter names after percent-decoding; the gateway forwards the
//! query unchanged.
//!
//! Some servers split a query at `;` as well as at `&`, so the parser looks for names after both.

use super::path::escaped_byte;

/// The parameters of a query that the gateway checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The raw (undecoded) value of each `v` found after `?` or `&`; `None` for a bare `v`.
    pub versions: Vec<Option<String>>,
    /// The number of `v` after `;` only. A `v` inside the value of another `v` belongs to that
    /// value and does not count.
    pub versions_after_semicolon: usize,
    /// The raw value of each `ids` found after `?` or `&`; `None` for a bare one.
    pub ids: Vec<Option<String>>,
    /// The number of `ids` after `;` only, except inside the value of a `v`.
    pub ids_after_semicolon: usize,
    /// Whether any parameter, after `&` or `;`, overrides the method, such as `_method`.
    pub method: bool,
}

/// Why `v` does not match the required version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionFault {
    /// No `v` with a value.
    Missing,
    /// Another version.
    Unsupported,
    /// More than one `v`.
    Ambiguous,
}

impl Query {
    /// Parses a query without its `?`; refuses a name with a broken escape.
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

    /// Reads the text between two `&`: a parameter, and the parameters that a server sees if it
    /// splits at `;`.
    fn read_parameter(&mut self, parameter: &str) -> Result<(), &'static str> {
        let (first, after) = match parameter.split_once(';') {
            Some((first, after)) => (first, Some(after)),
            None => (parameter, None),
        };
        let (name, value) = match first.split_once('=') {
            // The value reaches up to the next `&`, including any `;`.
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
                // The `;` is part of that `v`'s value, which is then refused as another version.
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

/// The names that the gateway checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Version,
    Ids,
    Method,
    Other,
}

impl Name {
    /// Decodes a name once and classifies it.
    fn of(raw: &str) -> Result<Self, &'static str> {
        // No checked name is longer. A longer name is still decoded, in order to find broken
        // escapes.
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

/// Longer than any checked name, with room for the characters that lenient servers trim.
const LONGEST_NAME: usize = 32;

/// Parameters with which servers let a query override the method: `_method` in any case, as PHP and
/// others read it (without leading spaces and dots, `.` for `_`), and the headers with that
/// purpose.
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
