//! A table for people: aligned columns, cells escaped and cut, one color per cell.

use std::io::{self, Write};

use anstyle::Style;

use super::escape::{cut, escape};

/// The maximum length of a cell in characters. A longer text is cut.
const MAX_CELL_CHARS: usize = 40;
/// The number of rows in a block. The table aligns the rows of one block with one another. Blocks
/// bound the memory of a long table.
const BLOCK_ROWS: usize = 500;

#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Makes a cell: escapes the text, then cuts it.
    pub(super) fn new(text: &str, style: Style) -> Self {
        let text = cut(&escape(text), MAX_CELL_CHARS);
        Self { text, style }
    }

    pub(super) fn plain(value: impl ToString) -> Self {
        Self::new(&value.to_string(), Style::new())
    }

    pub(super) fn or_dash(value: Option<impl ToString>) -> Self {
        value.map_or_else(|| Self::plain('-'), Self::plain)
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Rows of `N` cells below a header.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    widths: [usize; N],
    rows: Vec<[Cell; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(titles: [&str; N]) -> Self {
        let mut table = Self {
            widths: [0; N],
            rows: Vec::new(),
        };
        table.add(titles.map(|title| Cell::new(title, Style::new().bold())));
        table
    }

    /// Adds a row. If the block is then complete, writes the block.
    pub(super) fn row(&mut self, out: &mut dyn Write, cells: [Cell; N]) -> io::Result<()> {
        self.add(cells);
        if self.rows.len() >= BLOCK_ROWS {
            self.flush(out)?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for row in self.rows.drain(..) {
            for (column, (cell, width)) in row.iter().zip(self.widths).enumerate() {
                let style = cell.style;
                write!(out, "{style}{}{style:#}", cell.text)?;
                if column + 1 < N {
                    write!(out, "{:1$}  ", "", width - cell.width())?;
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn add(&mut self, cells: [Cell; N]) {
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = cell.width().max(*width);
        }
        self.rows.push(cells);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rows: &[[&str; 2]]) -> String {
        let mut table = Table::new(["NAME", "WHAT"]);
        let mut out = Vec::new();
        for row in rows {
            table.row(&mut out, row.map(Cell::plain)).unwrap();
        }
        table.flush(&mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        assert_eq!(
            written(&[["a", "1"], ["größer", "2"]]),
            "NAME    WHAT\na       1\ngrößer  2\n"
        );
    }

    #[test]
    fn a_cell_is_escaped_and_cut() {
        let table = written(&[["\u{1b}[2J", &"x".repeat(100)]]);
        assert!(table.contains(r"\u{1b}[2J"), "{table}");
        assert!(
            table.ends_with(&format!("  {}…\n", "x".repeat(39))),
            "{table}"
        );
    }

    #[test]
    fn a_long_table_is_written_in_blocks() {
        let mut table = Table::new(["N"]);
        let mut out = Vec::new();
        for _ in 0..BLOCK_ROWS {
            table.row(&mut out, [Cell::plain("1")]).unwrap();
        }
        assert!(!out.is_empty());
        assert!(table.rows.len() < BLOCK_ROWS);
    }
}
