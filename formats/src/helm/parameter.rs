//! Parameters behind the value of a header: `form-data; name="chart"` (RFC 9110 §5.6.6, RFC 2183 §2).

/// The value of the first parameter of this name; `None` where there is none, or a quote before it never ends.
pub(super) fn parameter(header: &str, name: &str) -> Option<String> {
    let (_, mut rest) = header.split_once(';')?;
    loop {
        let end = rest.find(['=', ';']).unwrap_or(rest.len());
        let (key, behind) = rest.split_at(end);
        let Some(value) = behind.strip_prefix('=') else {
            // A word without a value.
            rest = behind.strip_prefix(';')?;
            continue;
        };
        let (value, behind) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim().to_owned(), &value[end..])
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        (_, rest) = behind.split_once(';')?;
    }
}

/// What stands between quotes, and what behind them; a backslash makes a letter of what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            _ => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_parameter_is_found_behind_whatever_stands_in_quotes() {
        for (header, found) in [
            ("form-data; name=\"chart\"; filename=\"x\"", Some("chart")),
            ("form-data;name=chart", Some("chart")),
            ("form-data; NAME = chart ; x", Some("chart")),
            ("form-data; filename=\"; name=prov\"; name=\"chart\"", Some("chart")),
            ("form-data; filename=\"a\\\"; name=\\\"prov\"; name=chart", Some("chart")),
            ("form-data; name=\"a;b\\\\\\\"c\"", Some("a;b\\\"c")),
            ("form-data; flag; name=\"\"; name=later", Some("")),
            ("form-data; filename=x", None),
            ("form-data; surname=x", None),
            ("form-data; name=\"never ends", None),
            ("form-data; filename=\"never ends; name=chart", None),
            ("form-data; name=\"ends in a backslash\\", None),
            ("form-data", None),
            ("", None),
            (";;;", None),
        ] {
            assert_eq!(parameter(header, "name").as_deref(), found, "{header}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_quoted_is_read_as_it_was(value in "\\PC{0,20}", before in "[^\"\\\\;=]{0,10}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("form-data; filename=\"{before}\"; name=\"{quoted}\"; more=x");
            prop_assert_eq!(parameter(&header, "name"), Some(value));
        }

        #[test]
        fn no_header_makes_the_reader_panic(header in "([a-z]|[;=\"\\\\ ü]){0,30}") {
            let _ = parameter(&header, "name");
        }
    }
}
