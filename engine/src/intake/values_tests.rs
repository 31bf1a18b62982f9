//! Values of variables through the whole intake: where they are found, what is refused, and that none goes astray.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;

use proptest::prelude::*;

use super::tests::{A, keep, rejects};
use super::*;
use crate::model::{MAX_ROW_OCTETS, MAX_VALUE_CHARS, Values};

fn with(variables: &[&str]) -> Options {
    Options { variables: variables.iter().map(|column| (*column).to_owned()).collect(), ..Options::default() }
}

type Told = (Vec<u64>, Vec<Vec<String>>, Vec<(u32, &'static str)>);

/// The numbers, their values and the rejects.
fn told(options: &Options, file: &[u8]) -> Result<Told, IntakeError> {
    let dir = tempfile::tempdir().unwrap();
    let (summary, kept) = keep(dir.path(), options, file, 7)?;
    let values = Values::index(&kept.values, options.variables.len()).unwrap();
    let rows = (0..values.recipients()).map(|row| values.row(row).iter().map(str::to_owned).collect());
    assert_eq!(summary.digest, kept.hasher.finish());
    Ok((kept.numbers, rows.collect(), rejects(&summary)))
}

#[test]
fn columns_of_variables_are_found_by_name_or_by_place() {
    let named = "Phone,City,First Name\n491701234567,Bonn,Ann\n".as_bytes();
    let bare = "491701234567,Bonn,Ann\n".as_bytes();
    let phone9 = "phone9,city,name\n491701234567,Bonn,Ann\n".as_bytes();
    for (variables, file, wanted) in [
        (&["first name", "CITY "][..], named, &["Ann", "Bonn"][..]),
        (&["3", "c2"], bare, &["Ann", "Bonn"]),
        (&["2", "2", "1"], bare, &["Bonn", "Bonn", "491701234567"]),
        // The first recipient's value is the name of the column, and the line a recipient all the same.
        (&["2"], "491701234567,2\n".as_bytes(), &["2"]),
        // The heading of the number has a digit: the names of the variables tell that it is a header.
        (&["name", "city"], phone9, &["Ann", "Bonn"]),
    ] {
        let (numbers, rows, rejects) = told(&with(variables), file).unwrap();
        assert_eq!((numbers, rejects), (vec![A], vec![]), "{variables:?}");
        assert_eq!(rows, [wanted], "{variables:?}");
    }
}

#[test]
fn a_file_without_the_column_of_a_variable_is_refused_by_name() {
    let cases: [(&[&str], &str, &str); 4] = [
        (
            &["name", "town", "street"],
            "phone,name\n491701234567,Ann\n",
            "the file has no column \"town\", \"street\"; its columns are \"phone\", \"name\"",
        ),
        (
            &["name", "3", "0"],
            "491701234567,Ann\n",
            "the file has no column \"name\", \"3\", \"0\"; its columns are \"c1\", \"c2\"",
        ),
        (
            &["2"],
            "phone,name\n491701234567,Ann\n",
            "the file has no column \"2\"; its columns are \"phone\", \"name\"",
        ),
        (&["2"], "491701234567\n", "the file has no column \"2\"; its columns are \"c1\""),
    ];
    for (variables, file, wanted) in cases {
        let error = told(&with(variables), file.as_bytes()).unwrap_err();
        assert!(matches!(error, IntakeError::MissingColumns { .. }));
        assert_eq!(error.to_string(), wanted);
    }
    let wide: Vec<String> = (0..40).map(|column| format!("x{column}")).collect();
    let error = told(&with(&["name"]), format!("phone,{}\n", wide.join(",")).as_bytes()).unwrap_err();
    assert!(error.to_string().ends_with("\"x30\" and 9 more"), "{error}");
}

#[test]
fn a_line_whose_values_cannot_be_taken_is_rejected_with_its_reason() {
    let most = "ö".repeat(MAX_VALUE_CHARS);
    let sentence = RejectReason::ValueTooLong.sentence().replace(',', "");
    assert!([MAX_VALUE_CHARS, MAX_ROW_OCTETS].iter().all(|limit| sentence.contains(&limit.to_string())));
    let file = [
        "phone,a,b\n491701234567,x\n491701234567,\"p\0q\",y\n".as_bytes(),
        b"491701234567,J\xf6rg,y\n",
        format!("491701234567,{most}ö,y\n491701234567,{most},{most}\n").as_bytes(),
        // The first line of this number that can be taken wins, and its values are these.
        format!("491701234567, {most}\u{a0} ,\" two\r\nlines \"\n491701234567,late,late\n").as_bytes(),
        b"12,too,short\n491701234568,,\n",
    ]
    .concat();
    let (numbers, rows, rejects) = told(&with(&["a", "b"]), &file).unwrap();
    assert_eq!(numbers, [A, A + 1]);
    assert_eq!(rows, [[most.as_str(), "two\r\nlines"], ["", ""]]);
    let wanted = [
        (2, "missing_value"),
        (3, "control_character"),
        (4, "bad_encoding"),
        (5, "value_too_long"),
        (6, "value_too_long"),
        (9, "duplicate"),
        (10, "too_short"),
    ];
    assert_eq!(rejects, wanted);
}

#[test]
fn values_of_many_chunks_follow_their_numbers_through_scratch() {
    let file: String = (0..10_000).map(|n| format!("{},name {n},{}\n", A + n % 9000, n * 7)).collect();
    let options = Options { limits: Limits { sort_entries: 500, ..Limits::default() }, ..with(&["3", "2"]) };
    let (numbers, rows, rejects) = told(&options, file.as_bytes()).unwrap();
    assert_eq!((numbers.len(), rows.len(), rejects.len()), (9000, 9000, 1000));
    for (n, (number, row)) in numbers.iter().zip(&rows).enumerate() {
        assert_eq!((*number, row), (A + n as u64, &vec![(n * 7).to_string(), format!("name {n}")]));
    }
}

proptest! {
    #[test]
    fn values_survive_splits_duplicates_and_the_sort(
        lines in proptest::collection::vec((0_u64..30, "[a-zé€ ]{0,6}", "[a-z\"\n,]{0,5}"), 0..150),
        piece in 1_usize..200,
        sort_entries in 1_usize..40,
    ) {
        let mut file = "phone,first,second\n".to_owned();
        let mut seen = HashSet::new();
        let mut wanted = Vec::new();
        for (number, first, second) in &lines {
            file += &format!("{},{first},\"{}\"\n", A + number, second.replace('"', "\"\""));
            if seen.insert(*number) {
                wanted.push((A + number, second.trim().to_owned(), first.trim().to_owned()));
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits { sort_entries, ..Limits::default() };
        let options = Options { limits, format: Format::Csv, delimiter: Delimiter::Comma, ..with(&["second", "first"]) };
        let (summary, kept) = keep(dir.path(), &options, file.as_bytes(), piece).unwrap();
        prop_assert_eq!(summary.accepted + summary.duplicate, lines.len() as u64);
        let values = Values::index(&kept.values, 2).unwrap();
        let got: Vec<_> = (kept.numbers.iter().enumerate())
            .map(|(place, number)| {
                let row = values.row(place);
                (*number, row.get(0).unwrap().to_owned(), row.get(1).unwrap().to_owned())
            })
            .collect();
        prop_assert_eq!(got, wanted);
        prop_assert_eq!(summary.digest, kept.hasher.finish());
    }
}
