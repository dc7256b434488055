//! The Markdown files: their links, tables and code blocks.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The cells of every table row in `text` below the heading `## {section}`.
pub fn rows(text: &str, section: &str) -> Vec<Vec<String>> {
    let heading = format!("\n## {section}\n");
    let (_, section) = text.split_once(&heading).expect("the section exists");
    let section = section.split("\n## ").next().unwrap_or_default();
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("| ---");
    (section.lines().filter(is_row))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().into()).collect())
        .collect()
}

/// The texts in backticks in `cell`.
pub fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The code blocks of `language`.
pub fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

fn all() -> Vec<PathBuf> {
    let mut pages = vec!["README.md".into(), "ARCHITECTURE.md".into()];
    pages.push("examples/python/openai_sdk_1.x/mcp/README.md".into());
    for entry in root().join("docs").read_dir().unwrap() {
        pages.push(Path::new("docs").join(entry.unwrap().file_name()));
    }
    // Beside them are their pictures.
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn links_lead_somewhere() {
    for page in all() {
        let text = read(page.to_str().unwrap());
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            assert!(root().join(&target).exists(), "{}: {link}", page.display());
            if !fragment.is_empty() {
                let text = read(target.to_str().unwrap());
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
                assert!(anchors.any(|anchor| anchor == fragment), "{}: {link}", page.display());
            }
        }
    }
}

#[test]
fn the_architecture_names_files_that_exist() {
    let text = read("ARCHITECTURE.md");
    for name in quoted(&text) {
        let is_file = name.ends_with(".rs") && !name.contains(' ');
        let places = ["", "src", "src/proxy"].map(|folder| root().join(folder).join(name));
        assert!(!is_file || places.iter().any(|place| place.exists()), "{name}");
    }
}

#[test]
fn the_first_screen_of_the_readme_has_both_commands() {
    let screen: Vec<_> = read("README.md").lines().take(40).map(str::to_owned).collect();
    let screen = screen.join("\n");
    for command in ["cargo run --release -- demo", "make test"] {
        assert!(screen.contains(command), "{command}");
    }
}
