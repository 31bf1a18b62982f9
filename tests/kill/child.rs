//! The process that dies: this test binary, run once more with an order in its environment.

use engine::store::{Catalog, Entity, Kind, Query, Scope};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::Child;
use tests::outfit::Outfit;
use tests::rig::{RigOptions, tick};

/// Names the environment variable with the order.
const ORDER: &str = "MC_KILL_CHILD";
/// Looks from one line about the channels to the next: about a second.
const LOOKS: u32 = 200;
/// A child that nobody kills ends by itself.
const LIFE: Duration = Duration::from_secs(120);

/// Where a child works and how.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) directory: PathBuf,
    pub(super) address: String,
    pub(super) boot_id: String,
    pub(super) options: RigOptions,
}

impl Order {
    fn text(&self) -> String {
        let (directory, options) = (self.directory.display(), &self.options);
        format!("{directory}|{}|{}|{}|{}", self.address, self.boot_id, options.binds, options.window)
    }

    fn read(text: &str) -> Self {
        let fields: Vec<&str> = text.split('|').collect();
        let [directory, address, boot_id, binds, window] = fields[..] else { panic!("no order: {text}") };
        let (binds, window) = (binds.parse().unwrap(), window.parse().unwrap());
        Self {
            directory: PathBuf::from(directory),
            address: address.to_owned(),
            boot_id: boot_id.to_owned(),
            options: RigOptions { binds, window, ..RigOptions::default() },
        }
    }

    /// Starts a child with this order.
    pub(super) fn start(&self) -> anyhow::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", "kill::child::child_engine", "--nocapture", "--test-threads=2"]);
        command.env(ORDER, self.text());
        Ok(Child::start(&mut command)?)
    }
}

/// The parts of an engine on an order's directory.
pub(super) fn outfit(order: &Order) -> anyhow::Result<(Arc<engine::store::SqliteStore>, Outfit)> {
    let store = Arc::new(engine::store::SqliteStore::open(&Path::new(&order.directory).join("store"))?);
    let mut outfit = Outfit::on(&store, &order.directory, &order.address, &order.options)?;
    outfit.boot_id.clone_from(&order.boot_id);
    Ok((store, outfit))
}

/// Whether every campaign's end is recorded.
async fn all_done(store: &engine::store::SqliteStore) -> bool {
    let query = Query { kind: Kind::Campaign, statuses: Vec::new(), parent: None, after: None, limit: 10 };
    let page = store.list(Scope::Platform, query).await.unwrap();
    page.items.iter().all(|entity| matches!(entity, Entity::Campaign(c) if c.status.is_final()))
}

/// Not a test by itself: without an order it does nothing and proves nothing.
#[test]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn child_engine() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        println!("opening");
        let (store, outfit) = outfit(&Order::read(&order)).unwrap();
        let engine = outfit.start().await.unwrap();
        let (unknown, revoked) = engine.recovered();
        println!("recovered {unknown} {revoked}");
        let end = Instant::now() + LIFE;
        let (mut looks, mut told) = (0_u32, false);
        while Instant::now() < end {
            tick().await;
            looks += 1;
            if !told && all_done(&store).await {
                println!("all done");
                told = true;
            }
            if looks.is_multiple_of(LOOKS) {
                println!("{:?}", engine.channels());
            }
        }
    });
}
