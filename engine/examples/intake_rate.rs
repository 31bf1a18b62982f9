//! Measures the intake: lines a second, CPU microseconds a line and peak memory.
//!
//!     cargo run --release -p engine --example intake_rate -- KIND LINES [REGION]
//!
//! KIND: `txt` (13 octets a line), `csv` (about 107 octets, the number first), `last` (the number in the last column),
//! `values` (as `csv`, with three columns as variables), `quoted` (every line goes through csv-core), `same` (one number), `twice` (each number twice), `sorted`, `invalid`,
//! `national` (with REGION, German numbers with trunk prefix), `utf16`, `short` (the same shortest number, the most lines
//! that a file can have), `stray` (every line opens a quotation that the next one does not close). Lines are generated on the fly, in pieces of
//! 64 KiB; their cost is measured alone first and taken off.

#![expect(clippy::print_stdout, reason = "a measuring program reports on standard output")]

use std::io;
use std::time::Instant;

use engine::intake::{ChunkSink, Format, Intake, Limits, NumberColumn, Options};

const PIECE: usize = 64 << 10;
/// Clock ticks a second in `/proc/self/stat`, fixed on Linux.
const TICKS: f64 = 100.0;

#[derive(Default)]
struct Counter {
    numbers: u64,
    values: u64,
}

impl ChunkSink for Counter {
    fn chunk(&mut self, numbers: &[u64], values: &[u8]) -> io::Result<()> {
        self.numbers += numbers.len() as u64;
        self.values += values.len() as u64;
        Ok(())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let kind = arguments.first().map_or("csv", String::as_str);
    let lines: u64 = arguments.get(1).and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    let before = peak_kib();
    let (_, generator_cpu_s) = measure(|| generate(kind, lines, &mut |_| {}));
    let dir = std::env::temp_dir();
    let options = Options {
        format: if kind == "stray" { Format::Csv } else { Format::Detect },
        number_column: NumberColumn::Index(if kind == "last" { 4 } else { 0 }),
        default_region: arguments.get(2).cloned(),
        variables: if kind == "values" { ["2", "4", "5"].map(str::to_owned).into() } else { Vec::new() },
        limits: Limits { max_bytes: u64::from(u32::MAX), ..Limits::default() },
        ..Options::default()
    };
    let mut intake = Intake::new(options, &dir).expect("options are valid");
    let mut counter = Counter::default();
    let mut summary = None;
    let (wall_s, cpu_s) = measure(|| {
        generate(kind, lines, &mut |piece| intake.feed(piece).expect("the file is within its limits"));
        let read = peak_kib();
        summary = Some((intake.finish(&mut counter).expect("the file is within its limits"), read));
    });
    let (summary, read_kib) = summary.expect("it was measured");
    let count = lines as f64;
    println!(
        "{kind} {lines} lines, {:.0} MiB: {:.2} M lines/s, CPU {:.3} us/line (generator {:.3} taken off), \
         peak RSS {:.1} MiB ({:.1} while reading, {:.1} before)",
        summary.bytes as f64 / 1048576.0,
        count / (wall_s - generator_cpu_s).max(1e-9) / 1e6,
        (cpu_s - generator_cpu_s) * 1e6 / count,
        generator_cpu_s * 1e6 / count,
        peak_kib() / 1024.0,
        read_kib / 1024.0,
        before / 1024.0,
    );
    println!(
        "accepted {} (sink {}, {} octets of values) duplicate {} invalid {} {:?} columns {:?} {:?} digest {}",
        summary.accepted,
        counter.numbers,
        counter.values,
        summary.duplicate,
        summary.invalid,
        summary.invalid_by_reason,
        summary.columns,
        summary.delimiter,
        summary.digest
    );
}

/// Wall and CPU seconds (user and system) of a piece of work.
fn measure(work: impl FnOnce()) -> (f64, f64) {
    let (wall, cpu) = (Instant::now(), cpu_s());
    work();
    (wall.elapsed().as_secs_f64(), cpu_s() - cpu)
}

fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}

fn peak_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let field = line.and_then(|line| line.split_whitespace().nth(1));
    field.and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

/// Different numbers that a template can hold.
const NUMBERS: u64 = 100_000_000;

/// Visits every number once, in no order: multipliers without a common factor with the count, and halves exchanged.
fn scatter(line: u64) -> u64 {
    let number = line % NUMBERS * 38_196_601 % NUMBERS;
    let exchanged = number % 10_000 * 10_000 + number / 10_000;
    exchanged * 61_803_399 % NUMBERS
}

/// Hands over the file in pieces. A template line is patched, so that generating stays cheap beside the intake.
fn generate(kind: &str, lines: u64, feed: &mut dyn FnMut(&[u8])) {
    let template: &[u8] = match kind {
        "csv" | "values" => b"491600000000,Jane Example,2026-11-21T09:00:00Z,Example Street 12 Berlin,premium-customer,0123456789 some more text\n",
        "last" => b"Jane Example,2026-11-21T09:00:00Z,Example Street 12 Berlin,premium-customer 0123456789 so,491600000000\n",
        "quoted" => b"\"491600000000\",\"Jane Example\",2026-11-21T09:00:00Z,\"Example Street 12, Berlin\",premium-customer,12345\n",
        "national" => b"01600000000\n",
        "invalid" => b"name 4916000000000\n",
        "short" => b"4916123\n",
        "stray" => b"x\"y,\"491600000000\n",
        _ => b"491600000000\n",
    };
    let digits = template.windows(8).position(|window| window == b"00000000");
    let mut piece = Vec::with_capacity(PIECE + 512);
    let mut send = |piece: &mut Vec<u8>| {
        match kind {
            "utf16" => feed(&piece.iter().flat_map(|octet| [*octet, 0]).collect::<Vec<u8>>()),
            _ => feed(piece),
        }
        piece.clear();
    };
    for line in 0..lines {
        let start = piece.len();
        piece.extend_from_slice(template);
        let mut number = match kind {
            "same" => 7,
            "sorted" => line % NUMBERS,
            "twice" => scatter(line / 2),
            _ => scatter(line),
        };
        let places = digits.map_or(0..0, |at| start + at..start + at + 8);
        for place in places.rev() {
            piece[place] = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
        if piece.len() >= PIECE {
            send(&mut piece);
        }
    }
    send(&mut piece);
}
