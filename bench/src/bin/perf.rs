//! scratch
#![allow(clippy::all, clippy::pedantic, missing_docs, clippy::print_stdout, clippy::allow_attributes_without_reason, clippy::allow_attributes)]
use engine::model::*; use engine::seed::*; use engine::store::*; use engine::*;
use std::sync::Arc; use std::time::*;
fn cpu() -> f64 { let s=std::fs::read_to_string("/proc/self/stat").unwrap(); let f=s.rsplit_once(')').unwrap().1; let v:Vec<&str>=f.split_whitespace().collect(); (v[11].parse::<f64>().unwrap()+v[12].parse::<f64>().unwrap())*10_000.0 }
fn threads() { for t in std::fs::read_dir("/proc/self/task").unwrap() { let p=t.unwrap().path(); let n=std::fs::read_to_string(p.join("comm")).unwrap(); let s=std::fs::read_to_string(p.join("schedstat")).unwrap(); let ns:f64=s.split(' ').next().unwrap().parse().unwrap(); println!("  {:<16} {:.3} s", n.trim(), ns/1e9);} }
fn main() {
  let a:Vec<String>=std::env::args().collect(); let addr=a[1].clone(); let n:u64=a[2].parse().unwrap(); let binds:u32=a[3].parse().unwrap(); let window:u32=a[4].parse().unwrap(); let receipts=a.get(5).is_some();
  let rt=tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
  rt.block_on(async move {
    let dir=tempfile::tempdir_in("/var/tmp").unwrap();
    let store=Arc::new(SqliteStore::open(&dir.path().join("s")).unwrap());
    let at=jiff_now();
    let seed=Seed::create(&*store,"p","MESSAGE-CENTER-BENCH",at).await.unwrap();
    let no=store.next_campaign_no().await.unwrap();
    let mut w=store.write_recipients(no,n).unwrap();
    let mut v=Vec::new(); for i in 0..n { v.push(420_700_000_000+i); if v.len()==4096 { w.chunk(&v).unwrap(); v.clear(); } } if !v.is_empty(){w.chunk(&v).unwrap();} w.finish().unwrap();
    let id=seed.campaign(&*store,no,CampaignSeed{name:"p".into(),text:"x".repeat(140),receipts,delivery_policy:DeliveryPolicy::AtMostOnce,recipients:n,recipients_digest:String::new()},at).await.unwrap();
    let cfg=EngineConfig{channels:vec![ChannelConfig{name:"p".into(),address:addr,system_id:"p".into(),password:"p".into(),system_type:String::new(),bind:BindKind::Transceiver,binds,window,rate_per_s:0,enquire_link:Duration::from_secs(30),response_timeout:Duration::from_secs(30),message_id:pdu::MessageIdForm::Auto}],marks:dir.path().join("m"),installation:store.installation(),boot_id:boot_id().unwrap(),drain_timeout:Duration::from_secs(5)};
    let e=Engine::start(cfg,store.clone(),store.clone(),Env::system(1)).await.unwrap();
    while e.channels()[0].up.iter().any(|u|!u) { tokio::time::sleep(Duration::from_millis(5)).await; }
    let (t,c)=(Instant::now(),cpu());
    e.start_campaign(seed.workspace,id,&seed.author()).await.unwrap();
    loop { let p=e.progress(id).unwrap(); let done= if receipts { p.counts.delivered+p.counts.unknown==n } else { p.counts.sent+p.counts.unknown==n }; if done {break;} tokio::time::sleep(Duration::from_millis(5)).await; if t.elapsed()>Duration::from_secs(40) {println!("{p:?} {:?}",e.channels()); break;} }
    let (t,c)=(t.elapsed().as_secs_f64(),cpu()-c);
    println!("{:.0}/s cpu {:.3} us/msg p50 {} p99 {} us", n as f64/t, c/n as f64, e.submit_latency_us(0.5), e.submit_latency_us(0.99));
    threads();
    println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l|l.starts_with("VmHWM")).unwrap());
    e.shutdown().await;
  });
}
fn jiff_now()->jiff::Timestamp{jiff::Timestamp::now()}
