//! Tables as CSV (RFC 4180), for the spreadsheets that organisers open them with, and
//! the names in such a file.

use csv::{ReaderBuilder, Terminator, Trim, WriterBuilder};

/// A heading line and rows. Cells that a spreadsheet would run as a formula are
/// marked as text with a leading apostrophe.
pub(crate) fn csv<const N: usize>(
    headings: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    let heading = headings.map(str::to_owned);
    for row in std::iter::once(heading).chain(rows) {
        writer
            .write_record(row.map(as_text))
            .expect("rows are of one length and memory takes them");
    }
    let bytes = writer.into_inner().expect("memory takes what is written to it");
    String::from_utf8(bytes).expect("CSV of UTF-8 cells is UTF-8")
}

fn as_text(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
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
        let words: Vec<_> = row.get(0).unwrap_or_default().split_whitespace().collect();
        cells.push(words.join(" "));
    }
    if cells.first().is_some_and(|cell| HEADINGS.contains(&&*cell.to_lowercase())) {
        cells.remove(0);
    }
    cells.retain(|cell| !cell.is_empty());
    Ok(cells)
}

fn delimiter(line: &str) -> u8 {
    // What stands between quotes is of a cell.
    let outside = || line.split('"').step_by(2).flat_map(str::bytes);
    let count = |delimiter| outside().filter(|byte| *byte == delimiter).count();
    // Of equals the last is taken.
    [b'\t', b',', b';'].into_iter().max_by_key(|one| count(*one)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_text_and_never_a_formula() {
        let rows = ["=1+1", "+49", "-1", "@a", "\tx", "a, \"b\"", "a=b", ""];
        let text = csv(["name"], rows.iter().map(|cell| [(*cell).to_owned()]));
        let expected =
            "name\r\n'=1+1\r\n'+49\r\n'-1\r\n'@a\r\n'\tx\r\n\"a, \"\"b\"\"\"\r\na=b\r\n\"\"\r\n";
        assert_eq!(text, expected);
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
