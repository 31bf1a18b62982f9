//! The intake as a whole: the fault list of uploads, limits, and what must hold for every file.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// A sink that keeps everything and checks the size of chunks.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) numbers: Vec<u64>,
    pub(super) values: Vec<u8>,
    pub(super) hasher: ListHasher,
    ended: bool,
}

impl ChunkSink for Kept {
    fn chunk(&mut self, numbers: &[u64], values: &[u8]) -> io::Result<()> {
        assert!(!self.ended && !numbers.is_empty() && numbers.len() <= CHUNK_RECIPIENTS);
        self.ended = numbers.len() < CHUNK_RECIPIENTS;
        self.numbers.extend_from_slice(numbers);
        self.values.extend_from_slice(values);
        self.hasher.chunk(numbers, values);
        Ok(())
    }
}

fn run_in(
    dir: &Path,
    options: &Options,
    file: &[u8],
    piece: usize,
) -> Result<(IntakeSummary, Vec<u64>), IntakeError> {
    let (summary, kept) = keep(dir, options, file, piece)?;
    assert!(kept.values.is_empty() || !options.variables.is_empty());
    Ok((summary, kept.numbers))
}

pub(super) fn keep(
    dir: &Path,
    options: &Options,
    file: &[u8],
    piece: usize,
) -> Result<(IntakeSummary, Kept), IntakeError> {
    let mut intake = Intake::new(options.clone(), dir)?;
    for piece in file.chunks(piece.max(1)) {
        intake.feed(piece)?;
    }
    let mut kept = Kept::default();
    let summary = intake.finish(&mut kept)?;
    Ok((summary, kept))
}

fn run(options: &Options, file: &[u8]) -> (IntakeSummary, Vec<u64>) {
    let dir = tempfile::tempdir().unwrap();
    run_in(dir.path(), options, file, 1 << 20).unwrap()
}

pub(super) fn rejects(summary: &IntakeSummary) -> Vec<(u32, &'static str)> {
    let mut listed = Vec::new();
    summary
        .rejects
        .visit(|reject| {
            listed.push((reject.line, reject.kind.code()));
            Ok(())
        })
        .unwrap();
    listed
}

fn utf16(text: &str, mark: bool, join: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(join).collect()
}

pub(super) const A: u64 = 491_701_234_567;
const B: u64 = 491_701_234_568;

/// One row of the fault list: what it is, the file, the accepted numbers, the rejects by line, and the lines.
type Fault = (&'static str, Vec<u8>, Vec<u64>, Vec<(u32, &'static str)>, u64);

fn faults() -> impl Iterator<Item = Fault> {
    octet_faults().into_iter().chain(line_faults())
}

fn both() -> Vec<u64> {
    vec![A, B]
}

/// Faults of the octets: ends of lines, encodings, cuts.
fn octet_faults() -> Vec<Fault> {
    let plain = "491701234567\n491701234568\n";
    vec![
        ("empty", Vec::new(), vec![], vec![], 0),
        ("only header", b"phone,name\n".to_vec(), vec![], vec![], 1),
        ("only blank lines", b"\n\r\n \t\n".to_vec(), vec![], vec![], 3),
        ("plain", plain.into(), both(), vec![], 2),
        ("no final newline", b"491701234567\n491701234568".to_vec(), both(), vec![], 2),
        ("crlf", b"491701234567\r\n491701234568\r\n".to_vec(), both(), vec![], 2),
        ("lone cr", b"491701234567\r491701234568\r".to_vec(), both(), vec![], 2),
        ("mixed ends", b"\r491701234567\n\n\r\n491701234568\r".to_vec(), both(), vec![], 5),
        ("utf-8 mark", format!("\u{feff}{plain}").into(), both(), vec![], 2),
        ("utf-16le mark", utf16(plain, true, u16::to_le_bytes), both(), vec![], 2),
        ("utf-16be mark", utf16(plain, true, u16::to_be_bytes), both(), vec![], 2),
        ("utf-16le", utf16(plain, false, u16::to_le_bytes), both(), vec![], 2),
        ("utf-16be", utf16(plain, false, u16::to_be_bytes), both(), vec![], 2),
        ("cut at one octet", b"4".to_vec(), vec![], vec![(1, "too_short")], 1),
        ("cut in a number", b"491701234567\n4917".to_vec(), vec![A], vec![(2, "too_short")], 2),
        (
            "utf-16 cut in a unit",
            utf16(plain, true, u16::to_le_bytes)[..29].to_vec(),
            vec![A],
            vec![(2, "bad_encoding")],
            2,
        ),
    ]
}

/// Faults of what the lines say.
fn line_faults() -> Vec<Fault> {
    let long = [b"491701234567\n", &[b'4'; 10 << 20][..], b"\n491701234568\n"].concat();
    vec![
        (
            "nul",
            b"4917\x0001234567\n491701234567\n\x00\n".to_vec(),
            vec![A],
            vec![(1, "control_character"), (3, "control_character")],
            3,
        ),
        ("10 MB line", long, both(), vec![(2, "line_too_long")], 3),
        (
            "10 MB line without an end",
            [b"491701234567\n", &[b'"'; 10 << 20][..]].concat(),
            vec![A],
            vec![(2, "line_too_long")],
            2,
        ),
        (
            "quotes",
            b"\"phone\";\"full \"\"name\"\"\"\r\n\"491701234567\";\"A;\r\nB\"\r\n491701234568;C\r\n".to_vec(),
            both(),
            vec![],
            4,
        ),
        (
            "open quote",
            b"491701234567;x\n491701234568;\"y\n491701234568;z\n".to_vec(),
            both(),
            vec![(2, "bad_quoting")],
            3,
        ),
        (
            "all duplicates",
            b"+49 170 1234567\n491701234567\n0049 170-1234567\n".to_vec(),
            vec![A],
            vec![(2, "duplicate"), (3, "duplicate")],
            3,
        ),
        (
            "all invalid",
            b"1\n0170123456\n491701234567x\n".to_vec(),
            vec![],
            vec![(1, "too_short"), (2, "national_without_region"), (3, "not_a_number")],
            3,
        ),
        ("latin-1 beside the number", b"491701234567;J\xf6rg\n491701234568;x\n".to_vec(), both(), vec![], 2),
        (
            "latin-1 in the number",
            b"491701234567\n4917\xf601\n".to_vec(),
            vec![A],
            vec![(2, "bad_encoding")],
            2,
        ),
        ("nbsp", "491701234567\n+49\u{a0}170\u{a0}1234568\n".into(), both(), vec![], 2),
        ("empty field", b"491701234567,a\n,b\n".to_vec(), vec![A], vec![(2, "empty")], 2),
    ]
}

#[test]
fn every_fault_of_an_upload_has_its_named_outcome() {
    for (name, file, accepted, wanted, lines) in faults() {
        let (summary, numbers) = run(&Options::default(), &file);
        assert_eq!(numbers, accepted, "{name}");
        assert_eq!(rejects(&summary), wanted, "{name}");
        assert_eq!((summary.lines, summary.bytes), (lines, file.len() as u64), "{name}");
        assert_eq!(summary.accepted, accepted.len() as u64, "{name}");
        assert_eq!(summary.invalid + summary.duplicate, wanted.len() as u64, "{name}");
        assert_eq!(summary.invalid, summary.invalid_by_reason.values().sum::<u64>(), "{name}");
        let sample: Vec<u64> = summary.sample.iter().map(|number| number.get()).collect();
        assert_eq!(sample, accepted, "{name}");
    }
}

#[test]
fn every_split_of_a_file_gives_the_same_result() {
    let dir = tempfile::tempdir().unwrap();
    for (name, file, ..) in faults().filter(|fault| fault.1.len() < 1000) {
        let tell = |piece| {
            let (summary, numbers) = run_in(dir.path(), &Options::default(), &file, piece).unwrap();
            (format!("{summary:?}"), numbers)
        };
        let whole = tell(file.len());
        for piece in 1..file.len() {
            assert_eq!(tell(piece), whole, "{name} by {piece}");
        }
    }
}

#[test]
fn columns_are_found_by_place_and_by_name() {
    let file = b"Name,Mobile Phone\nA,491701234567\nB\nC,491701234568\n";
    let cases = [
        (NumberColumn::Index(1), Header::Auto, 2, vec![(3, "missing_column")]),
        (NumberColumn::Name(" mobile PHONE".into()), Header::Auto, 2, vec![(3, "missing_column")]),
        (NumberColumn::Index(1), Header::No, 2, vec![(1, "not_a_number"), (3, "missing_column")]),
        (
            NumberColumn::Name("msisdn".into()),
            Header::Yes,
            0,
            vec![(2, "missing_column"), (3, "missing_column"), (4, "missing_column")],
        ),
    ];
    for (number_column, header, accepted, wanted) in cases {
        let options = Options { number_column, header, ..Options::default() };
        let (summary, numbers) = run(&options, file);
        assert_eq!((numbers.len(), rejects(&summary)), (accepted, wanted), "{options:?}");
        let named = header != Header::No;
        assert_eq!(summary.has_header, named);
        assert_eq!(summary.columns, if named { ["Name", "Mobile Phone"] } else { ["c1", "c2"] });
        assert_eq!(summary.delimiter, Some(Delimiter::Comma));
    }
}

#[test]
fn a_header_given_as_such_is_one_even_if_it_holds_digits() {
    let options = Options { header: Header::Yes, format: Format::Txt, ..Options::default() };
    let (summary, numbers) = run(&options, b"491701234567\n491701234568\n");
    assert_eq!((numbers, summary.has_header), (vec![B], true));
}

#[test]
fn what_may_be_a_number_is_no_name_of_a_column() {
    for header in [Header::Auto, Header::Yes] {
        let options = Options { header, format: Format::Csv, ..Options::default() };
        let (summary, _) = run(&options, b"Anna,+49 170 1234567\nBert,491701234568\n");
        assert_eq!((summary.has_header, summary.columns), (true, vec!["Anna".to_owned(), "c2".to_owned()]));
    }
}

#[test]
fn an_unreadable_first_line_does_not_hide_the_header() {
    let options = Options {
        number_column: NumberColumn::Name("phone".into()),
        format: Format::Csv,
        limits: Limits { max_line_octets: 30, ..Limits::default() },
        ..Options::default()
    };
    let (summary, numbers) =
        run(&options, b"a line that is longer than all others are\nname,phone\nA,491701234567\n");
    assert_eq!((numbers, rejects(&summary)), (vec![A], vec![(1, "line_too_long")]));
    assert_eq!(summary.columns, ["name", "phone"]);
}

#[test]
fn national_numbers_need_a_default_region() {
    let options = Options { default_region: Some("de".into()), ..Options::default() };
    let (_, numbers) = run(&options, b"0170 1234567\n+49 170 1234568\n");
    assert_eq!(numbers, [A, B]);
}

#[test]
fn the_limit_itself_is_allowed_and_one_more_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = b"491701234567\n491701234568\n491701234567\n";
    let with = |max_bytes, max_recipients| {
        let limits = Limits { max_bytes, max_recipients, ..Limits::default() };
        run_in(dir.path(), &Options { limits, ..Options::default() }, file, 5)
    };
    assert_eq!(with(39, 2).unwrap().1, [A, B]);
    assert!(matches!(with(38, 2), Err(IntakeError::TooLarge { limit: 38 })));
    assert!(matches!(with(39, 1), Err(IntakeError::TooManyRecipients { limit: 1, found: 2 })));
    assert_eq!((Limits::console().max_bytes, Limits::default().max_bytes), (52_428_800, 1_073_741_824));
}

#[test]
fn a_refused_file_gives_the_sink_nothing() {
    struct Untouched;
    impl ChunkSink for Untouched {
        fn chunk(&mut self, _: &[u64], _: &[u8]) -> io::Result<()> {
            panic!("the sink got a chunk of a refused file");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { max_recipients: 5000, sort_entries: 1000, ..Limits::default() };
    let mut intake = Intake::new(Options { limits, ..Options::default() }, dir.path()).unwrap();
    for number in 0..5001 {
        intake.feed(format!("{}\n", A + number).as_bytes()).unwrap();
    }
    let error = intake.finish(&mut Untouched).unwrap_err();
    assert!(matches!(error, IntakeError::TooManyRecipients { limit: 5000, found: 5001 }));
}

#[test]
fn a_spent_intake_cannot_be_finished() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 20, ..Limits::default() };
    let mut intake = Intake::new(Options { limits, ..Options::default() }, dir.path()).unwrap();
    intake.feed(b"491701234567\n").unwrap();
    intake.feed(b"491701234568\n").unwrap_err();
    let mut kept = Kept::default();
    assert!(intake.finish(&mut kept).is_err() && kept.numbers.is_empty());
}

#[test]
fn a_failing_sink_ends_the_intake_with_its_error() {
    struct Full;
    impl ChunkSink for Full {
        fn chunk(&mut self, _: &[u64], _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut intake = Intake::new(Options::default(), dir.path()).unwrap();
    intake.feed(b"491701234567").unwrap();
    let error = intake.finish(&mut Full).unwrap_err();
    assert!(matches!(error, IntakeError::Sink(io) if io.kind() == io::ErrorKind::StorageFull));
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let name = NumberColumn::Name("phone".into());
    for options in [
        Options { number_column: name, header: Header::No, ..Options::default() },
        Options { default_region: Some("XX".into()), ..Options::default() },
        Options { default_region: Some("001".into()), ..Options::default() },
        Options { limits: Limits { max_bytes: 1 << 33, ..Limits::default() }, ..Options::default() },
        Options { limits: Limits { sort_entries: 0, ..Limits::default() }, ..Options::default() },
        Options { variables: vec!["name".into(); 17], ..Options::default() },
        Options { variables: vec![" ".into()], ..Options::default() },
    ] {
        assert!(matches!(Intake::new(options, dir.path()), Err(IntakeError::Options(_))));
    }
}

#[test]
fn a_missing_scratch_directory_is_told_at_once_and_a_lost_one_at_the_spill() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    assert!(matches!(Intake::new(Options::default(), &missing), Err(IntakeError::Scratch(_))));
    let limits = Limits { sort_entries: 1, ..Limits::default() };
    let mut intake = Intake::new(Options { limits, ..Options::default() }, dir.path()).unwrap();
    dir.close().unwrap();
    // Long enough that reading starts.
    let error = intake.feed("491701234567\n".repeat(1000).as_bytes()).unwrap_err();
    assert!(matches!(error, IntakeError::Scratch(io) if io.kind() == io::ErrorKind::NotFound));
}

#[test]
fn scratch_files_have_no_name_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let names = || std::fs::read_dir(dir.path()).unwrap().count();
    struct Watching<'a>(&'a dyn Fn() -> usize, Cell<usize>);
    impl ChunkSink for Watching<'_> {
        fn chunk(&mut self, _: &[u64], _: &[u8]) -> io::Result<()> {
            self.1.set(self.1.get() + 1);
            assert_eq!((self.0)(), 0);
            Ok(())
        }
    }
    let limits = Limits { sort_entries: 100, ..Limits::default() };
    let mut intake = Intake::new(Options { limits, ..Options::default() }, dir.path()).unwrap();
    for number in 0..10_000 {
        intake.feed(format!("{}\nx{number}\n", A + number % 9000).as_bytes()).unwrap();
    }
    assert_eq!(names(), 0);
    let mut sink = Watching(&names, Cell::new(0));
    let summary = intake.finish(&mut sink).unwrap();
    assert_eq!((sink.1.get(), summary.accepted, summary.duplicate, summary.invalid), (3, 9000, 1000, 10_000));
    summary.rejects.write_rejects_csv(&mut io::sink()).unwrap();
    assert_eq!(names(), 0);
}

#[test]
fn the_digest_is_that_of_the_chunks_the_sink_got() {
    let file: String = (0..10_000).map(|number| format!("{}\n", A + number * 3)).collect();
    let (summary, numbers) = run(&Options::default(), file.as_bytes());
    let mut hasher = ListHasher::new();
    numbers.chunks(CHUNK_RECIPIENTS).for_each(|chunk| hasher.chunk(chunk, b""));
    assert_eq!(summary.digest, hasher.finish());
}

#[test]
fn the_digest_of_a_list_of_numbers_never_changes() {
    let (summary, _) = run(&Options::default(), b"491701234567\n491701234568\n");
    let pinned = "cd3569c6234ade7649951dd155e6ad72d31735619f0b39c8c7441e505d79b0ed";
    assert_eq!(summary.digest.to_string(), pinned);
}

#[test]
fn the_report_masks_numbers_and_names_the_first_line_of_a_duplicate() {
    let (summary, _) = run(&Options::default(), b"+49 170 1234567\n491701234567\n=cmd|4917012345678901\n");
    let mut csv = Vec::new();
    summary.rejects.write_rejects_csv(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[1], "2,********4567,duplicate,duplicate of line 1");
    assert!(rows[2].starts_with("3,'=cmd|************8901,not_a_number,"), "{}", rows[2]);
    assert_eq!(rows.len(), 3);
}

#[test]
fn utf16_beyond_the_sniffed_beginning_is_read_in_any_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..3000).map(|number| format!("{};Jörg 😀\r\n", A + number)).collect();
    let file = utf16(&text, true, u16::to_le_bytes);
    for piece in [1, 7, 8191, 8192, 8193, 1 << 20] {
        let (summary, numbers) = run_in(dir.path(), &Options::default(), &file, piece).unwrap();
        assert_eq!((summary.accepted, summary.invalid, summary.encoding), (3000, 0, Encoding::Utf16Le));
        assert_eq!(numbers.last(), Some(&(A + 2999)));
    }
}

/// A line of a generated file.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0_u64..40).prop_map(|n| format!("{}", A + n)),
        2 => (0_u64..40).prop_map(|n| format!("+{},x", A + n)),
        1 => (0_u64..40).prop_map(|n| format!("\"{}\",\"a\nb\"", A + n)),
        1 => "[0-9+\", x]{0,12}",
        1 => Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn any_file_gives_the_same_result_for_every_split_and_buffer(
        lines in proptest::collection::vec(any_line(), 0..60),
        end in prop_oneof![Just("\n"), Just("\r"), Just("\r\n")],
        piece in 1_usize..100,
        sort_entries in 1_usize..30,
        max_line_octets in 20_usize..60,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let file = lines.join(end);
        let limits = Limits { max_line_octets, ..Limits::default() };
        let whole = Options { limits, format: Format::Csv, delimiter: Delimiter::Comma, ..Options::default() };
        let tiny = Options { limits: Limits { sort_entries, ..limits }, ..whole.clone() };
        let (one, numbers) = run_in(dir.path(), &whole, file.as_bytes(), file.len()).unwrap();
        let (other, same) = run_in(dir.path(), &tiny, file.as_bytes(), piece).unwrap();
        prop_assert_eq!(&numbers, &same);
        prop_assert_eq!(rejects(&one), rejects(&other));
        prop_assert_eq!(format!("{:?} {:?}", one.digest, one.columns), format!("{:?} {:?}", other.digest, other.columns));
        prop_assert_eq!((one.lines, one.blank, one.has_header), (other.lines, other.blank, other.has_header));
    }

    #[test]
    fn accepted_and_repeated_lines_are_those_of_a_plain_map(
        numbers in proptest::collection::vec(0_u64..200, 0..400), sort_entries in 1_usize..60,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let file: String = numbers.iter().map(|n| format!("+{}\n", A + n)).collect();
        let limits = Limits { sort_entries, ..Limits::default() };
        let options = Options { limits, ..Options::default() };
        let (summary, got) = run_in(dir.path(), &options, file.as_bytes(), 1000).unwrap();
        let mut firsts = HashMap::new();
        let mut accepted = Vec::new();
        let mut repeated = Vec::new();
        for (line, number) in (1..).zip(&numbers) {
            match firsts.get(number) {
                Some(first) => repeated.push((line, RejectKind::Duplicate { first_line: *first })),
                None => {
                    firsts.insert(number, line);
                    accepted.push(A + number);
                }
            }
        }
        let mut listed = Vec::new();
        summary.rejects.visit(|reject| { listed.push((reject.line, reject.kind)); Ok(()) }).unwrap();
        prop_assert_eq!((got, listed), (accepted, repeated));
    }
}
