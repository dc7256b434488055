//! Tables as CSV (RFC 4180), for the spreadsheets that organisers open them with, and
//! the names in such a file.

use csv::{ReaderBuilder, Trim};

/// A heading line and rows. Cells that a spreadsheet would run as a formula are marked as text with
/// an apostrophe, which [`first_column`] takes away again.
pub(crate) fn csv<const N: usize>(
    headings: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let heading = headings.map(str::to_owned);
    let lines = std::iter::once(heading).chain(rows).map(|row| {
        let cells = row.map(|cell| quoted(&as_text(&cell)));
        // An empty line would be no row.
        let line = cells.join(",");
        if line.is_empty() { "\"\"\r\n".to_owned() } else { line + "\r\n" }
    });
    lines.collect()
}

/// What some reader takes for the end of a cell, whatever we separate cells by.
const SEPARATORS: [char; 5] = [',', ';', '\t', '\r', '\n'];

/// In quotes where a reader could find more than one cell in it.
fn quoted(cell: &str) -> String {
    if cell.contains(SEPARATORS) || cell.contains('"') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// The cell with an apostrophe wherever a reader could see a formula begin. A spreadsheet that
/// separates by semicolons or tabs minds no quotes in the middle of what it takes for a cell, so a
/// cell may begin after each separator.
fn as_text(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for (at, part) in parts(cell) {
        if is_formula(part) || (at == 0 && part.starts_with(['\t', '\r'])) {
            text.push('\'');
        }
        text.push_str(part);
    }
    text
}

/// What [`as_text`] was given.
fn as_typed(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for (at, part) in parts(text) {
        let typed = part
            .strip_prefix('\'')
            .filter(|typed| is_formula(typed) || (at == 0 && typed.starts_with(['\t', '\r'])));
        cell.push_str(typed.unwrap_or(part));
    }
    cell
}

/// The parts that some reader could take for cells, each with its separator and where it begins.
fn parts(cell: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    cell.split_inclusive(SEPARATORS).map(move |part| {
        let begins = at;
        at += part.len();
        (begins, part)
    })
}

/// Apostrophes are passed over so that a mark of ours can be told from one that was typed.
fn is_formula(part: &str) -> bool {
    part.trim_start_matches(|c: char| c.is_whitespace() || "'\"\u{feff}".contains(c))
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// What may stand above a column of names, in small letters.
const HEADINGS: [&str; 12] = [
    "name",
    "names",
    "full name",
    "fullname",
    "display name",
    "display_name",
    "first name",
    "last name",
    "attendee",
    "attendees",
    "participant",
    "participants",
];

/// The cells of the first column that are not empty, without a heading. Cells are
/// apart by what the first line has most of: semicolons (as Excel writes them where
/// the comma is the decimal sign), commas or tabs.
///
/// # Errors
/// It is no text in UTF-8; what follows the name of its field is said.
pub(crate) fn first_column(file: &[u8]) -> Result<Vec<String>, &'static str> {
    let text = std::str::from_utf8(file).map_err(
        |_| "is not text in UTF-8: save it as “CSV UTF-8” in the spreadsheet, or paste the names",
    )?;
    let mut text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    // By which Excel is told what cells are apart by.
    let told = first.strip_prefix("sep=").and_then(|rest| rest.bytes().next());
    if told.is_some() {
        text = text.split_once('\n').map_or("", |(_, rest)| rest);
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(told.unwrap_or_else(|| delimiter(first)))
        .from_reader(text.as_bytes());
    let mut cells = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|_| "is not CSV that can be read; paste the names instead")?;
        // A line break within a cell is a space.
        let cell = as_typed(row.get(0).unwrap_or_default());
        let words: Vec<_> = cell.split_whitespace().collect();
        cells.push(words.join(" "));
    }
    if cells.first().is_some_and(|cell| HEADINGS.contains(&&*cell.to_lowercase())) {
        cells.remove(0);
    }
    cells.retain(|cell| !cell.is_empty());
    Ok(cells)
}

/// The names in a file that is a table or a plain list, one a line. It is a table if its name says
/// so, or if it has a heading or what no list of names has: quotes around the first cell, or
/// semicolons or tabs. A comma is no such sign: `Müller, Anna` is one name in a list.
///
/// # Errors
/// As [`first_column`].
pub(crate) fn names(file: &[u8], is_named_table: bool) -> Result<Vec<String>, &'static str> {
    let text = String::from_utf8_lossy(file);
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let cell = first.split(SEPARATORS).next().unwrap_or_default().trim().trim_matches('"');
    let is_table = is_named_table
        || first.starts_with("sep=")
        || first.starts_with('"')
        || first.contains([';', '\t'])
        || HEADINGS.contains(&&*cell.to_lowercase());
    if is_table || std::str::from_utf8(file).is_err() {
        return first_column(file);
    }
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn delimiter(line: &str) -> u8 {
    // What stands between quotes is of a cell.
    let outside = || line.split('"').step_by(2).flat_map(str::bytes);
    let count = |delimiter| outside().filter(|byte| *byte == delimiter).count();
    // On a tie, the last wins: a comma may be part of a name.
    [b',', b'\t', b';'].into_iter().max_by_key(|one| count(*one)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_text_and_never_a_formula() {
        let rows = ["=1+1", "+49", "-1", "@a", "\tx", "a, \"b\"", "a=b", ""];
        let text = csv(["name"], rows.iter().map(|cell| [(*cell).to_owned()]));
        let expected = "name\r\n'=1+1\r\n'+49\r\n'-1\r\n'@a\r\n\"'\tx\"\r\n\"a, \"\"b\"\"\"\r\na=b\r\n\"\"\r\n";
        assert_eq!(text, expected);
    }

    /// Each cell that a reader could find in a line, by whichever separator, minding no quotes.
    fn cells_of_any_reader(text: &str) -> Vec<&str> {
        let cells =
            |separator: char| text.split(['\r', '\n']).flat_map(move |line| line.split(separator));
        [',', ';', '\t'].into_iter().flat_map(cells).collect()
    }

    #[test]
    fn no_reader_finds_a_formula_and_ours_finds_what_was_typed() {
        let names = [
            "x;=cmd()",
            "x;\"=cmd()\"",
            "x; =cmd()",
            "a\tb",
            "x\t+1",
            "x\n@a",
            "x\r\n-1",
            "a;;=1",
            "＝1+1",
            "＋1",
            "－1",
            "＠a",
            "x;＝1",
            "x,=1",
            "'=1",
            "''=1;'=2",
            "\u{feff}=1",
            "O'Brien; Anna",
            "'quoted'",
            "a-b;c=d",
        ];
        for name in names {
            let rows = || [["1".to_owned(), name.to_owned()]].into_iter();
            let table = csv(["n", "name"], rows());
            for cell in cells_of_any_reader(&table) {
                let bare = cell.trim_start_matches(|c: char| "\" \u{feff}".contains(c));
                assert!(!bare.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']), "{table}");
            }
            let column = csv(["name"], [[name.to_owned()]].into_iter());
            let typed: Vec<_> = name.split_whitespace().collect();
            assert_eq!(first_column(column.as_bytes()).unwrap(), [typed.join(" ")], "{column}");
        }
    }

    #[test]
    fn a_list_is_told_from_a_table() {
        let read = |text: &str| names(text.as_bytes(), false).unwrap();
        assert_eq!(read("\u{feff}Müller, Anna\r\n\r\n Zoë \n"), ["Müller, Anna", "Zoë"]);
        for table in [
            "Name;Mail\nMüller, Anna;a\nZoë;z\n",
            "name\nMüller, Anna\nZoë\n",
            "Name,Mail\n\"Müller, Anna\",a\nZoë,z\n",
            "\"Müller, Anna\",a\nZoë,z\n",
            "Müller, Anna\ta\nZoë\tz\n",
            "sep=;\nMüller, Anna;a\nZoë;z\n",
        ] {
            assert_eq!(read(table), ["Müller, Anna", "Zoë"], "{table}");
        }
        assert_eq!(names(b"Zo\xc3\xab,z\nAda,a\n", true).unwrap(), ["Zoë", "Ada"]);
        assert!(names(b"M\xfcller\n", false).unwrap_err().starts_with("is not text in UTF-8"));
    }

    #[test]
    fn names_are_read_as_spreadsheets_save_them() {
        let expected = ["Zoë Özdemir", "Lovelace, Ada", "=1+1"];
        for file in [
            "\u{feff}Name;E-Mail\r\nZoë Özdemir;z@example.org\r\nLovelace, Ada;\r\n;\r\n=1+1;x;y\r\n",
            "Full Name,Mail\nZoë Özdemir,z\n\"Lovelace, Ada\",a\n\n=1+1\n",
            "sep=;\r\nZoë  Özdemir;1\r\n\"Lovelace,\nAda\";2\r\n =1+1 ;3",
            "Zoë Özdemir\tz\nLovelace, Ada\ta\n=1+1",
            "\"Zoë Özdemir\"\r\n\"Lovelace, Ada\"\r\n=1+1\r\n",
        ] {
            assert_eq!(first_column(file.as_bytes()).unwrap(), expected, "{file}");
        }
        for empty in ["", "\u{feff}", "Name\r\n", ";;\n;\n"] {
            assert_eq!(first_column(empty.as_bytes()), Ok(Vec::new()), "{empty}");
        }
        assert!(first_column(b"M\xfcller;\r\n").unwrap_err().starts_with("is not text in UTF-8"));
    }
}
