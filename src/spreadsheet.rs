//! Tables as CSV (RFC 4180), for the spreadsheets that organisers open them with.

use csv::{Terminator, WriterBuilder};

/// A heading line and rows. Cells that a spreadsheet would run as a formula are
/// marked as text with a leading apostrophe.
pub fn csv<const N: usize>(headings: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
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
}
