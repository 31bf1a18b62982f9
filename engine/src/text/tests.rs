//! Texts as a whole: a table of what texts need, what is refused and where, and what holds for every rendering.

#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::BytesMut;
use pdu::text::{Concat, Encoding, Segments, measure};
use pdu::udh::Udh;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::values::pack_row;
use crate::model::{MAX_PARTS, Row, Values, Variable};

fn variable(name: &str, max_chars: u16) -> Variable {
    Variable { name: name.to_owned(), max_chars }
}

fn values(row: &[&str]) -> Values {
    let mut packed = Vec::new();
    pack_row(&mut packed, row).unwrap();
    Values::index(packed, row.len()).unwrap()
}

fn rendered(template: &Template, row: &[&str]) -> Result<Rendered, Rendering> {
    render(template, values(row).row(0))
}

/// A text, its variables, and what it needs: encoding, parts at least and at worst, octets, units left.
type Golden = (String, Vec<Variable>, (Encoding, u8, u8, usize, usize));

fn golden() -> Vec<Golden> {
    use Encoding::{Gsm7, Ucs2};
    let plain = |text: &str, needs| (text.to_owned(), Vec::new(), needs);
    vec![
        plain("a", (Gsm7, 1, 1, 1, 159)),
        plain(&"a".repeat(160), (Gsm7, 1, 1, 160, 0)),
        plain(&"a".repeat(161), (Gsm7, 2, 2, 161, 145)),
        plain(&"a".repeat(306), (Gsm7, 2, 2, 306, 0)),
        plain(&"a".repeat(307), (Gsm7, 3, 3, 307, 152)),
        plain(&"a".repeat(153 * 16), (Gsm7, 16, 16, 2448, 0)),
        plain(&"€".repeat(80), (Gsm7, 1, 1, 160, 0)),
        // 76 pairs of septets fill 152 of 153 septets; the escape does not stand alone in the last one.
        plain(&"€".repeat(81), (Gsm7, 2, 2, 162, 143)),
        plain(&"€".repeat(153), (Gsm7, 3, 3, 306, 151)),
        // Braces are literal without variables, and cost two septets each.
        plain("{name} {", (Gsm7, 1, 1, 11, 149)),
        plain("Ж", (Ucs2, 1, 1, 2, 69)),
        plain(&"Ж".repeat(70), (Ucs2, 1, 1, 140, 0)),
        plain(&"Ж".repeat(71), (Ucs2, 2, 2, 142, 63)),
        // 33 surrogate pairs fill 66 of 67 units.
        plain(&"😀".repeat(35), (Ucs2, 1, 1, 140, 0)),
        plain(&"😀".repeat(36), (Ucs2, 2, 2, 144, 61)),
        plain(&"😀".repeat(67), (Ucs2, 3, 3, 268, 65)),
        ("Hi {n}".into(), vec![variable("n", 10)], (Gsm7, 1, 1, 23, 137)),
        ("Hi {n}{n}{{".into(), vec![variable("n", 40)], (Gsm7, 1, 2, 165, 141)),
        ("Привет {n}".into(), vec![variable("n", 20)], (Ucs2, 1, 1, 94, 23)),
        ("Привет {n}".into(), vec![variable("n", 32)], (Ucs2, 1, 2, 142, 63)),
        ("{n} {m}.".into(), vec![variable("m", 500), variable("n", 500)], (Gsm7, 1, 14, 2002, 128)),
    ]
}

#[test]
fn texts_need_what_the_table_says() {
    for (text, variables, wanted) in golden() {
        let got = compose(&text, &variables).unwrap();
        let told =
            (got.encoding, got.segments_min, got.segments_max, got.octets, got.units_left_in_last_segment);
        assert_eq!(told, wanted, "{text}");
        if variables.is_empty() {
            let measured = measure(&text, got.encoding, Concat::Udh8);
            assert_eq!(measured.segments, usize::from(got.segments_max), "{text}");
            assert_eq!(measured.left, got.units_left_in_last_segment, "{text}");
        }
    }
}

#[test]
fn refusals_tell_what_is_wrong_and_where() {
    let name = || vec![variable("name", 20)];
    let seventeen = || (0..17).map(|n| variable(&format!("v{n}"), 1)).collect::<Vec<_>>();
    let long_name = "n".repeat(MAX_NAME_CHARS + 1);
    let cases: Vec<(&str, Vec<Variable>, TextError)> = vec![
        ("", name(), TextError::Empty),
        ("Hi\u{1B}", Vec::new(), TextError::ControlCharacter { at: 3 }),
        ("Hi {name", name(), TextError::Unclosed { at: 4 }),
        ("Hi {na{me}", name(), TextError::Unclosed { at: 4 }),
        ("Grüß {name} {", name(), TextError::Unclosed { at: 13 }),
        ("Hi name}", name(), TextError::Unopened { at: 8 }),
        ("Hi {{name}", name(), TextError::Unopened { at: 10 }),
        ("Hi {}", name(), TextError::NoName { at: 4 }),
        ("Hi { name}", name(), TextError::BadName { name: " name".into(), at: Some(4) }),
        ("Hi {1st}", name(), TextError::BadName { name: "1st".into(), at: Some(4) }),
        ("Hi {Name}", name(), TextError::Unknown { name: "Name".into(), at: 4 }),
        ("Hi there", name(), TextError::Unused { name: "name".into() }),
        ("{name}", name(), TextError::NothingButVariables),
        (" {name}\n{name}", name(), TextError::NothingButVariables),
        ("Hi {v0}", seventeen(), TextError::TooManyVariables(17)),
        ("Hi {a}", vec![variable("a", 1), variable("a", 2)], TextError::Twice { name: "a".into() }),
        ("Hi {a}", vec![variable("a", 0)], TextError::BadLength { name: "a".into(), max_chars: 0 }),
        ("Hi {a}", vec![variable("a", 501)], TextError::BadLength { name: "a".into(), max_chars: 501 }),
        ("Hi {ä}", vec![variable("ä", 1)], TextError::BadName { name: "ä".into(), at: None }),
        (
            "Hi",
            vec![variable(&long_name, 1)],
            TextError::BadName { name: "n".repeat(MAX_NAME_CHARS), at: None },
        ),
    ];
    for (text, variables, wanted) in cases {
        assert_eq!(Template::parse(text, &variables), Err(wanted.clone()), "{text}");
        assert_eq!(compose(text, &variables), Err(wanted), "{text}");
    }
    let long = "a".repeat(MAX_TEXT_CHARS + 1);
    assert_eq!(compose(&long, &[]), Err(TextError::TooLong { chars: 4097 }));
    assert_eq!(compose(&long[..153 * 16 + 1], &[]), Err(TextError::TooManyParts(17)));
    assert_eq!(
        compose("Hi {n}{n}{n}", &[variable("n", 500)]),
        Err(TextError::TooManyParts(20)),
        "3,003 septets, 152 of them in each part"
    );
    let unclosed = TextError::Unclosed { at: 4 }.to_string();
    assert_eq!(unclosed, "the brace at character 4 is not closed; write {{ for a brace in the text");
}

#[test]
fn the_names_of_a_text_are_found() {
    assert_eq!(variable_names("{{x}} {b} {a}{b}").unwrap(), ["b", "a"]);
    assert_eq!(variable_names("{b"), Err(TextError::Unclosed { at: 1 }));
    let many: String = (0..17).map(|n| format!("{{v{n}}}")).collect();
    assert_eq!(variable_names(&many), Err(TextError::TooManyVariables(17)));
}

#[test]
fn the_characters_that_force_ucs2_are_named_with_their_place() {
    let got = compose("It’s {name}’s 😀", &[variable("name", 5)]).unwrap();
    let told: Vec<_> = got.forcing_characters.iter().map(|f| (f.character, f.at, f.count)).collect();
    assert_eq!(told, [('’', 3, 2), ('😀', 15, 1)]);
    assert_eq!(got.forcing_characters[0].described.instead, Some("'"));
    assert!(compose("It's {name}", &[variable("name", 5)]).unwrap().forcing_characters.is_empty());
    let alphabet: String = ('а'..='я').collect();
    let got = compose(&alphabet, &[]).unwrap();
    assert_eq!((got.forcing_characters.len(), got.forcing_unlisted), (MAX_FORCING_CHARACTERS, 16));
}

#[test]
fn values_take_their_places_and_bad_ones_are_refused() {
    let template = Template::parse("{a}, {b} {{{a}}}", &[variable("b", 3), variable("a", 2)]).unwrap();
    let done = rendered(&template, &["xyz", "€"]).unwrap();
    assert_eq!((done.text.as_str(), done.encoding, done.segments), ("€, xyz {€}", Encoding::Gsm7, 1));
    assert_eq!(rendered(&template, &["", ""]).unwrap().text, ",  {}");
    let outside = Rendering::Encoding { place: 0, character: 'ł' };
    assert_eq!(rendered(&template, &["łł", ""]), Err(outside));
    let long = Rendering::ValueTooLong { place: 1, chars: 3, limit: 2 };
    assert_eq!(rendered(&template, &["", "abc"]), Err(long));
    assert_eq!(render(&template, Row::NONE), Err(Rendering::Missing { place: 1 }));
    assert_eq!(
        outside.to_string(),
        "value 1 has the character U+0142, which is outside the approved encoding"
    );
    // The same value is welcome where the text itself is UCS-2.
    let wide = Template::parse("ł {b}", &[variable("b", 3)]).unwrap();
    assert_eq!(rendered(&wide, &["łł😀"]).unwrap().text, "ł łł😀");
}

#[test]
fn a_rendering_beyond_the_approved_parts_is_refused() {
    let template = Template::parse(&format!("{}{{v}}", "a".repeat(150)), &[variable("v", 20)]).unwrap();
    let narrow = Template { most: 1, ..template.clone() };
    assert_eq!(rendered(&narrow, &["0123456789"]).unwrap().segments, 1);
    let beyond = Rendering::Segments { needed: 2, approved: 1 };
    assert_eq!(rendered(&narrow, &["0123456789a"]), Err(beyond));
    assert_eq!(rendered(&template, &["0123456789a"]).unwrap().segments, 2);
    // Trusting a wrong total would split a message at the wrong place: it is refused.
    let values = values(&["0123456789a"]);
    for (part, total) in [(0, 1), (2, 2), (0, 3)] {
        let part = Part { part, total, reference: 1 };
        assert!(template.write(values.row(0), part, &mut BytesMut::new()).is_err(), "{part:?}");
    }
}

#[test]
fn samples_are_the_first_recipients_and_one_of_a_plain_text() {
    let mut packed = Vec::new();
    for name in ["Ann", "Łucja"].into_iter().chain(["x"; 20]) {
        pack_row(&mut packed, &[name]).unwrap();
    }
    let values = Values::index(packed, 1).unwrap();
    let template = Template::parse("Hi {n}", &[variable("n", 5)]).unwrap();
    let got = samples(&template, &values);
    assert_eq!(got.len(), MAX_SAMPLES);
    assert_eq!(got[0].as_ref().unwrap().text, "Hi Ann");
    assert_eq!(got[1], Err(Rendering::Encoding { place: 0, character: 'Ł' }));
    let plain = Template::parse("Hi {n}", &[]).unwrap();
    assert_eq!(samples(&plain, &Values::default()).len(), 1);
    assert_eq!(samples(&plain, &Values::default())[0].as_ref().unwrap().text, "Hi {n}");
}

/// Stretches of text in GSM, of two septets a character, in UCS-2 and of surrogate pairs.
fn stretch() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,120}", "[{}€\\[]{0,60}", "[a-z€]{0,100}", "[а-яa-z]{0,60}", "[😀-😏x]{0,40}"]
}

/// A template with up to three variables, each used at least once.
fn template() -> impl Strategy<Value = (String, Vec<Variable>)> {
    let lengths = vec(1_u16..=80, 1..=3);
    (lengths, vec((stretch(), 0_usize..3), 0..4), stretch()).prop_map(|(lengths, stretches, last)| {
        let variables: Vec<Variable> =
            lengths.iter().zip("abc".chars()).map(|(max, name)| variable(&name.to_string(), *max)).collect();
        let escaped = |text: &str| text.replace('{', "{{").replace('}', "}}");
        let mut text = "Hi ".to_owned();
        for (own, place) in stretches {
            let name = &variables[place % variables.len()].name;
            text += &format!("{}{{{name}}}", escaped(&own));
        }
        variables.iter().for_each(|variable| text += &format!("{{{}}}", variable.name));
        (text + &escaped(&last), variables)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_template_printed_and_read_again_is_the_same(written in template()) {
        let (text, variables) = written;
        let parsed = Template::parse(&text, &variables).unwrap();
        let printed = parsed.print();
        prop_assert_eq!(&printed, &text);
        prop_assert_eq!(Template::parse(&printed, &variables).unwrap(), parsed);
        let plain = Template::parse(&text, &[]).unwrap();
        prop_assert_eq!(plain.print(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a{}_ ]{0,20}", max_chars: u16) {
        let variables = [variable("a", max_chars)];
        if let Ok(template) = Template::parse(&text, &variables) {
            prop_assert_eq!(&template.print(), &text);
        }
        prop_assert_eq!(compose(&text, &[]).is_ok(), !text.is_empty());
    }

    #[test]
    fn no_rendering_needs_more_than_was_told_before(written in template(), row in vec("\\PC{0,90}|[a-z€😀]{0,90}", 3)) {
        let (text, variables) = written;
        let parsed = Template::parse(&text, &variables).unwrap();
        let row: Vec<&str> = row.iter().take(variables.len()).map(String::as_str).collect();
        let outcome = rendered(&parsed, &row);
        let too_long = row.iter().zip(&variables).any(|(v, is)| v.chars().count() > usize::from(is.max_chars));
        let outside = row.iter().any(|value| !parsed.encoding().fits(value));
        match (compose(&text, &variables), outcome) {
            (Ok(told), Ok(done)) => {
                prop_assert!(!too_long && !outside);
                prop_assert!((told.segments_min..=told.segments_max).contains(&done.segments));
                prop_assert_eq!(done.encoding, told.encoding);
                let measured = measure(&done.text, done.encoding, Concat::Udh8);
                prop_assert_eq!(measured.segments, usize::from(done.segments));
            }
            (Ok(_), Err(refused)) => {
                prop_assert!(too_long || outside);
                let is_of_a_value = matches!(refused, Rendering::Encoding { .. } | Rendering::ValueTooLong { .. });
                prop_assert!(is_of_a_value, "{refused}");
            }
            (Err(TextError::TooManyParts(needed)), Ok(done)) => {
                prop_assert!(done.segments <= MAX_PARTS && needed > usize::from(MAX_PARTS));
            }
            (Err(TextError::TooManyParts(_)), Err(_)) => {}
            (Err(other), _) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn the_worst_case_is_reached_by_the_worst_values(written in template()) {
        let (text, variables) = written;
        let parsed = Template::parse(&text, &variables).unwrap();
        let widest = if parsed.encoding() == Encoding::Gsm7 { "€" } else { "😀" };
        let row: Vec<String> = variables.iter().map(|v| widest.repeat(usize::from(v.max_chars))).collect();
        let row: Vec<&str> = row.iter().map(String::as_str).collect();
        match compose(&text, &variables) {
            Ok(told) => prop_assert_eq!(rendered(&parsed, &row).unwrap().segments, told.segments_max),
            Err(_) => prop_assert!(rendered(&parsed, &row).is_err()),
        }
    }

    #[test]
    fn the_parts_of_a_rendering_join_to_it(
        written in template(), row in vec("[a-z€]{0,80}", 3), reference: u16,
    ) {
        let (text, variables) = written;
        let parsed = Template::parse(&text, &variables).unwrap();
        let row: Vec<&str> = row.iter().take(variables.len()).map(String::as_str).collect();
        let values = values(&row);
        let Ok(done) = render(&parsed, values.row(0)) else { return Ok(()) };
        let mut whole = Vec::new();
        done.encoding.encode(&done.text, &mut whole).unwrap();
        let cut = Segments::new(&whole, done.encoding, Concat::Udh8).unwrap();
        let mut joined = Vec::new();
        for (part, wanted) in (0..done.segments).zip(cut.iter()) {
            let mut out = BytesMut::from(&b"earlier"[..]);
            parsed.write(values.row(0), Part { part, total: done.segments, reference }, &mut out).unwrap();
            let mut data = Vec::new();
            let has_header = wanted.user_data(reference, &mut data);
            prop_assert_eq!(&out[7..], &data[..]);
            prop_assert_eq!(has_header, done.segments > 1);
            let most = if done.encoding == Encoding::Gsm7 { 160 } else { 140 };
            prop_assert!(data.len() <= most);
            joined.extend_from_slice(if has_header { Udh::split(&data).unwrap().1 } else { &data });
        }
        prop_assert_eq!(done.encoding.decode(&joined), done.text);
    }
}
