//! The terms of use of an event, as attendees read them before they join: the organiser's, or a
//! short text that names the organiser and says what is stored.

use super::markdown;
use crate::catalog::event::{Draft, Event, MAX_MARKDOWN};

/// The terms of an event, as HTML.
pub fn terms(event: &Event) -> String {
    rendered(&event.terms, &event.organizer_name)
}

/// The same for an event as it is typed.
pub fn preview(draft: &Draft) -> String {
    // Longer ones are refused anyway.
    let terms: String = draft.terms.chars().take(MAX_MARKDOWN).collect();
    rendered(&terms, &draft.organizer_name)
}

fn rendered(terms: &str, organizer: &str) -> String {
    if terms.trim().is_empty() {
        return markdown::to_html(&usual(organizer));
    }
    markdown::to_html(terms)
}

/// What most organisers would say.
fn usual(organizer: &str) -> String {
    let organizer = match organizer.trim() {
        "" => "the organiser".to_owned(),
        name => escaped(name),
    };
    format!(
        "- Use the servers of this event only for the event, and follow the instructions of \
         {organizer}.\n\
         - Keep your API key private. You are responsible for what is done with it.\n\
         - Do not send personal or confidential data to the servers.\n\
         - {organizer} sees your name, when you called, how often, and which errors you got. The \
         proxy does not store what you send or receive; the servers may.\n"
    )
}

/// A name as Markdown that shows it unchanged.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_punctuation() {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(terms: &str, organizer: &str) -> Draft {
        Draft { terms: terms.into(), organizer_name: organizer.into(), ..Draft::default() }
    }

    #[test]
    fn without_terms_the_usual_text_names_the_organiser() {
        for empty in ["", " \n"] {
            let text = preview(&draft(empty, "Ada Lovelace"));
            assert!(text.contains("instructions of Ada Lovelace."), "{text}");
            assert!(text.starts_with("<ul>") && text.contains("Keep your API key private."));
        }
        assert!(preview(&draft("", " ")).contains("instructions of the organiser."));
        let text = preview(&draft("# Be *kind*\n<script>x</script>", "Ada"));
        assert_eq!(text.trim(), "<h2>Be <em>kind</em></h2>");
    }

    #[test]
    fn a_name_is_shown_as_it_is_written() {
        let text = preview(&draft("", "*A* [b](https://x.example) <b>c</b> & `d` \\ 1."));
        assert!(
            !text.contains("<a") && !text.contains("<em>") && !text.contains("<code>"),
            "{text}"
        );
        let shown = "*A* [b](https://x.example) &lt;b&gt;c&lt;/b&gt; &amp; `d` \\ 1.";
        assert!(text.contains(shown), "{text}");
    }
}
