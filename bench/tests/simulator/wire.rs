//! The same simulator on real sockets and on in-memory streams under a paused clock.

use std::collections::BTreeSet;
use std::time::Duration;

use bench::smsc::{Config, Fault, FaultRule, LedgerKind, ReceiptConfig, Smsc};
use pdu::CommandId;
use tokio::io::{AsyncReadExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::esme::{StreamClient, deliver_resp, submit, with_receipts};

async fn listening(config: Config) -> Smsc {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    Smsc::serve(listener, config).expect("sound settings")
}

async fn connect(smsc: &Smsc) -> TcpStream {
    TcpStream::connect(smsc.local_addr().expect("on TCP")).await.expect("it listens")
}

fn with_fault(fault: Fault) -> Config {
    Config { faults: vec![FaultRule::new(fault, 1.0)], ..Config::default() }
}

#[tokio::test]
async fn many_windows_over_tcp_are_answered_to_the_last() {
    let smsc = listening(Config { ledger: LedgerKind::Memory, ..Config::default() }).await;
    let mut client = StreamClient::bound(connect(&smsc).await).await;
    for window in 0..100_u32 {
        let first = window * 1_000 + 1;
        let burst: Vec<u8> = (first..first + 1_000).flat_map(|n| submit(n, u64::from(n))).collect();
        client.send(&burst).await;
        let answers = client.take(1_000).await;
        assert!(answers.iter().map(|answer| answer.sequence).eq(first..first + 1_000));
    }
    assert_eq!(smsc.stats().accepted, 100_000);
    let exact = smsc.with_ledger(|ledger| ledger.exact());
    assert!(exact.repeated().is_empty() && exact.missing(1..=100_000).is_empty());
    smsc.shutdown().await.expect("no ledger file");
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_reading_and_loses_nothing() {
    let smsc = listening(Config::default()).await;
    let (mut reader, mut writer) = connect(&smsc).await.into_split();
    let bind = crate::esme::bind(CommandId::BIND_TRANSCEIVER, "esme", "");
    tokio::io::AsyncWriteExt::write_all(&mut writer, &bind).await.expect("open");
    let blast = tokio::spawn(async move {
        for n in 1..=400_000 {
            let octets = submit(n, u64::from(n));
            tokio::io::AsyncWriteExt::write_all(&mut writer, &octets).await.expect("open");
        }
        writer
    });
    while smsc.stats().accepted < 100_000 {
        tokio::task::yield_now().await;
    }
    let mut left = 400_000 * 33 + 29;
    let mut chunk = vec![0; 65_536];
    while left > 0 {
        left -= reader.read(&mut chunk).await.expect("open");
    }
    blast.await.expect("no panic");
    assert_eq!(smsc.stats().accepted, 400_000);
}

#[tokio::test]
async fn drop_ends_with_fin_and_reset_with_an_error() {
    for (fault, orderly) in [(Fault::Drop, true), (Fault::Reset, false)] {
        let smsc = listening(with_fault(fault)).await;
        let mut client = StreamClient::bound(connect(&smsc).await).await;
        client.send(&submit(1, 1)).await;
        let end = client.stream.read(&mut [0; 64]).await;
        assert_eq!(end.is_ok_and(|read| read == 0), orderly, "{}", fault.name());
        assert_eq!(smsc.stats().accepted, 1);
    }
}

#[tokio::test]
async fn a_simulator_that_is_down_refuses_and_comes_back_with_its_receipts() {
    let smsc = listening(with_receipts()).await;
    let mut client = StreamClient::bound(connect(&smsc).await).await;
    client.send(&submit(1, 1)).await;
    let first = client.take(2).await;
    assert_eq!(first[1].id, CommandId::DELIVER_SM);
    smsc.set_down(true).await.expect("closing cannot fail");
    assert_eq!(client.next().await, None);
    let addr = smsc.local_addr().expect("on TCP");
    assert!(TcpStream::connect(addr).await.is_err());
    smsc.set_down(false).await.expect("its own address");
    let mut client = StreamClient::bound(connect(&smsc).await).await;
    let again = client.next().await.expect("the receipt comes back");
    assert_eq!(again.field("id:"), first[1].field("id:"));
    client.send(&deliver_resp(again.sequence, 0)).await;
    while smsc.receipts_stored() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(smsc.stats().receipts_acked, 1);
}

#[tokio::test]
async fn dropped_connections_end_and_new_ones_are_welcome() {
    let smsc = listening(with_fault(Fault::HalfOpen)).await;
    let mut client = StreamClient::bound(connect(&smsc).await).await;
    client.send(&submit(1, 1)).await;
    while smsc.stats().accepted == 0 {
        tokio::task::yield_now().await;
    }
    smsc.drop_connections();
    assert_eq!(client.next().await, None);
    StreamClient::bound(connect(&smsc).await).await;
    assert_eq!(smsc.stats().binds, 2);
}

#[tokio::test(start_paused = true)]
async fn latency_and_receipts_follow_a_paused_clock_on_a_duplex_stream() {
    let receipts = ReceiptConfig { delay_us: 3_600_000_000, ..ReceiptConfig::default() };
    let config = Config { latency_us: 250_000, receipts: Some(receipts), ..with_receipts() };
    let smsc = Smsc::in_memory(config).expect("sound settings");
    let (near, far) = duplex(64 * 1024);
    smsc.serve_stream(far);
    let mut client = StreamClient::bound(near).await;
    let start = Instant::now();
    client.send(&submit(1, 1)).await;
    assert_eq!(client.next().await.expect("answered").id, CommandId::SUBMIT_SM_RESP);
    assert_eq!(start.elapsed().as_millis(), 250);
    assert_eq!(client.next().await.expect("delivered").id, CommandId::DELIVER_SM);
    assert!((3_600..3_601).contains(&start.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_sleeps_is_woken_by_another_session() {
    let smsc = Smsc::in_memory(with_receipts()).expect("sound settings");
    let mut ends = Vec::new();
    for mode in [CommandId::BIND_TRANSMITTER, CommandId::BIND_RECEIVER] {
        let (near, far) = duplex(64 * 1024);
        smsc.serve_stream(far);
        ends.push(StreamClient::bound_as(near, mode).await);
    }
    let (mut receiver, mut transmitter) = (ends.remove(1), ends.remove(0));
    for n in 1..=50 {
        transmitter.send(&submit(n, u64::from(n))).await;
        transmitter.next().await.expect("answered");
        let receipt = tokio::time::timeout(Duration::from_millis(5), receiver.next()).await;
        let receipt = receipt.expect("at once").expect("delivered");
        receiver.send(&deliver_resp(receipt.sequence, 0)).await;
    }
}

#[tokio::test]
async fn the_ledger_file_has_a_line_for_each_pdu() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ledger");
    let config = Config { ledger: LedgerKind::File(path.clone()), ..with_receipts() };
    let smsc = listening(config).await;
    let mut client = StreamClient::bound(connect(&smsc).await).await;
    let burst: Vec<u8> = (1..=500).flat_map(|n| submit(n, 420_000_000_000 + u64::from(n))).collect();
    client.send(&burst).await;
    let answers = client.take(1_000).await;
    for receipt in answers.iter().filter(|answer| answer.id == CommandId::DELIVER_SM) {
        client.send(&deliver_resp(receipt.sequence, 0)).await;
    }
    while smsc.receipts_stored() > 0 {
        tokio::task::yield_now().await;
    }
    smsc.shutdown().await.expect("written");
    let text = std::fs::read_to_string(&path).expect("text");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    assert!(lines.iter().all(|columns| columns.len() == 12));
    let count = |command: &str| lines.iter().filter(|columns| columns[3] == command).count();
    let counts = ["00000009", "80000009", "00000004", "80000004", "00000005", "80000005"].map(count);
    assert_eq!(counts, [1, 1, 500, 500, 500, 500]);
    let submits: Vec<_> = lines.iter().filter(|columns| columns[3] == "00000004").collect();
    let crc = format!("{:08x}", crc32fast::hash(b"hello"));
    for (n, columns) in (1..).zip(&submits) {
        let destination = (420_000_000_000_u64 + n).to_string();
        let expected = ["ACME", destination.as_str(), "1/1"];
        assert_eq!(columns[6..9], expected);
        assert_eq!(columns[10..], ["accepted", crc.as_str()]);
    }
    let ids: BTreeSet<_> = submits.iter().map(|columns| columns[9]).collect();
    assert_eq!(ids.len(), 500);
}
