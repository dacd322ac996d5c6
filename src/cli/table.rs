//! A table for people: aligned columns, cells escaped and cut, one color per cell. It fits a terminal
//! of 80 columns, or shows every column in lines of any length.

use std::io::{self, Write};

use anstyle::Style;

use super::escape::{cut, escape};
use super::output::COLUMNS;

/// The maximum length of a cell in characters. A longer text is cut.
const MAX_CELL_CHARS: usize = 40;
/// The number of rows in a block. The table aligns the rows of one block with one another. Blocks
/// bound the memory of a long table.
const BLOCK_ROWS: usize = 500;
/// The space between two columns.
const GAP: usize = 2;

/// How a column behaves if the table must fit 80 columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It keeps its width.
    Whole,
    /// Its cells are cut, to this many characters at least. The column with the smallest number
    /// gives way first.
    Cut(usize),
    /// Only the wide table has it.
    Wide,
}

#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    /// Follows the text and is never cut.
    end: String,
    style: Style,
}

impl Cell {
    /// Makes a cell: escapes the text, then cuts it.
    pub(super) fn new(text: &str, style: Style) -> Self {
        let (text, end) = (cut(&escape(text), MAX_CELL_CHARS), String::new());
        Self { text, end, style }
    }

    /// The cell with a short end that is never cut.
    pub(super) fn ending(self, end: impl ToString) -> Self {
        let end = end.to_string();
        Self { end, ..self }
    }

    pub(super) fn plain(value: impl ToString) -> Self {
        Self::new(&value.to_string(), Style::new())
    }

    pub(super) fn or_dash(value: Option<impl ToString>) -> Self {
        value.map_or_else(|| Self::plain('-'), Self::plain)
    }

    fn width(&self) -> usize {
        self.text.chars().count() + self.end.chars().count()
    }

    fn cut(&self, width: usize) -> String {
        let room = width.saturating_sub(self.end.chars().count());
        cut(&self.text, room.max(1)) + &self.end
    }
}

/// Rows of `N` cells below a header.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    fits: [Fit; N],
    is_wide: bool,
    widths: [usize; N],
    rows: Vec<[Cell; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with these columns; `is_wide` shows all of them, in lines of any length.
    pub(super) fn new(columns: [(&str, Fit); N], is_wide: bool) -> Self {
        let mut table = Self {
            fits: columns.map(|(_, fit)| fit),
            is_wide,
            widths: [0; N],
            rows: Vec::new(),
        };
        table.add(columns.map(|(title, _)| Cell::new(title, Style::new().bold())));
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
        let widths = match self.is_wide {
            true => self.widths,
            false => self.narrow(),
        };
        for row in self.rows.drain(..) {
            let mut gap = 0;
            for (cell, width) in row.iter().zip(widths).filter(|(_, width)| *width > 0) {
                let (text, style) = (cell.cut(width), cell.style);
                write!(out, "{:gap$}{style}{text}{style:#}", "")?;
                gap = width.saturating_sub(text.chars().count()) + GAP;
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

    /// The widths with which a line fits a terminal; 0 for a column that is not shown.
    fn narrow(&self) -> [usize; N] {
        let mut widths = self.widths;
        let mut cuts = Vec::new();
        for (column, fit) in self.fits.iter().enumerate() {
            match fit {
                Fit::Whole => {}
                Fit::Cut(least) => cuts.push((*least, column)),
                Fit::Wide => widths[column] = 0,
            }
        }
        cuts.sort_unstable();
        let shown = widths.iter().filter(|width| **width > 0);
        let line = shown.map(|width| width + GAP).sum::<usize>() - GAP;
        let mut over = line.saturating_sub(COLUMNS);
        for (least, column) in cuts {
            let given = over.min(widths[column].saturating_sub(least));
            widths[column] -= given;
            over -= given;
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rows: &[[&str; 2]]) -> String {
        let columns = [("NAME", Fit::Whole), ("WHAT", Fit::Whole)];
        let mut table = Table::new(columns, false);
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
        let mut table = Table::new([("N", Fit::Whole)], false);
        let mut out = Vec::new();
        for _ in 0..BLOCK_ROWS {
            table.row(&mut out, [Cell::plain("1")]).unwrap();
        }
        assert!(!out.is_empty());
        assert!(table.rows.len() < BLOCK_ROWS);
    }

    const COLUMNS_OF_A_LIST: [(&str, Fit); 5] = [
        ("INDEX", Fit::Whole),
        ("ACCOUNT", Fit::Wide),
        ("USERS", Fit::Cut(10)),
        ("CALLER", Fit::Cut(8)),
        ("RESULT", Fit::Cut(12)),
    ];

    fn list(is_wide: bool, lengths: [usize; 5]) -> String {
        let mut table = Table::new(COLUMNS_OF_A_LIST, is_wide);
        let mut out = Vec::new();
        let cells = lengths.map(|length| Cell::plain("x".repeat(length)));
        table.row(&mut out, cells).unwrap();
        table.flush(&mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn a_line_fits_80_columns_with_any_content() {
        for lengths in [[20, 40, 40, 40, 40], [1, 1, 1, 1, 1], [7, 9, 30, 40, 24]] {
            let text = list(false, lengths);
            assert!(
                text.lines().all(|line| line.chars().count() <= 80),
                "{text}"
            );
            assert!(!text.contains("ACCOUNT"), "{text}");
            assert!(
                text.contains(&"x".repeat(lengths[0])),
                "no cut index: {text}"
            );
        }
    }

    #[test]
    fn the_column_with_the_smallest_least_gives_way_first() {
        let text = list(false, [7, 0, 20, 40, 24]);
        let row = text.lines().nth(1).unwrap();
        let widths: Vec<_> = row.split("  ").map(|cell| cell.chars().count()).collect();
        assert_eq!(widths, [7, 20, 23, 24], "{row}");
        assert!(row.contains("x…  x"), "{row}");
    }

    #[test]
    fn the_end_of_a_cell_is_never_cut() {
        let cell = Cell::plain("1234567890123456789").ending(" +4999");
        assert_eq!(cell.cut(10), "123… +4999");
        assert_eq!(cell.cut(40), "1234567890123456789 +4999");
    }

    #[test]
    fn a_wide_table_has_every_column() {
        let text = list(true, [7, 9, 30, 40, 24]);
        assert!(text.starts_with("INDEX    ACCOUNT    USERS"), "{text}");
        assert!(!text.contains('…') && text.lines().nth(1).unwrap().len() == 118);
    }
}
