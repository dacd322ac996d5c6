//! Merges the `config` lines of a case into the base config: they replace existing keys and add
//! others.

/// The merged config. A table is found by its header (`[audit]`, `[[issuer]]`: the first one).
pub(super) fn overlay(base: &str, lines: &[String]) -> Result<String, String> {
    let mut tables = tables(base);
    let mut current = String::new();
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        if line.starts_with('[') {
            current.clone_from(line);
            if !tables.iter().any(|(header, _)| header == line) {
                tables.push((line.clone(), Vec::new()));
            }
            continue;
        }
        let (key, _) = line
            .split_once('=')
            .ok_or_else(|| format!("config: `{line}` is neither a header nor `key = value`"))?;
        let table = tables.iter_mut().find(|(header, _)| *header == current);
        let (_, entries) = table.ok_or("config: begins without a `[table]`")?;
        let same = |entry: &String| {
            entry
                .split_once('=')
                .is_some_and(|(k, _)| k.trim() == key.trim())
        };
        entries.retain(|entry| !same(entry));
        entries.push(line.clone());
    }
    let text = tables.iter().map(|(header, entries)| {
        let entries: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        format!("{header}\n{entries}\n")
    });
    Ok(text.collect())
}

fn tables(base: &str) -> Vec<(String, Vec<String>)> {
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for line in base.lines().filter(|line| !line.is_empty()) {
        match tables.last_mut() {
            Some((_, entries)) if !line.starts_with('[') => entries.push(line.to_owned()),
            _ => tables.push((line.to_owned(), Vec::new())),
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_replaced_and_tables_added() {
        let lines = ["[a]", "x = 3", "z = 4", "[c]", "q = 1"].map(str::to_owned);
        let text = overlay("[a]\nx = 1\ny = 2\n\n[b]\nx = 9\n", &lines).unwrap();
        assert_eq!(
            text,
            "[a]\ny = 2\nx = 3\nz = 4\n\n[b]\nx = 9\n\n[c]\nq = 1\n\n"
        );
    }

    #[test]
    fn a_line_without_a_key_fails() {
        assert!(overlay("[a]\n", &["[a]".to_owned(), "x".to_owned()]).is_err());
        assert!(overlay("[a]\n", &["x = 1".to_owned()]).is_err());
    }
}
