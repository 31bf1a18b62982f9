//! Numbers that are not to be written to: whoever was acknowledged gets nothing more, and everybody else exactly one.

#![expect(clippy::unwrap_used, reason = "tests")]

mod keywords;
mod recall;

use bench::smsc::{Config, MobileMessage, Smsc};
use engine::model::record::reason;
use engine::model::{
    CHUNK_RECIPIENTS, Campaign, CampaignId, DeliveryPolicy, Mode, Principal, SendingRules, Suppression,
    SuppressionKind, UnitStatus,
};
use engine::seed::{CampaignSeed, Seed};
use engine::store::fault::{FaultCatalog, FaultPlan};
use engine::store::{Catalog, Journal, Scope, SqliteStore};
use engine::{Engine, EngineError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tests::doubles::{Fate, Gate};
use tests::outfit::Outfit;
use tests::rig::{FIRST_NUMBER, RigOptions, simulator, tick};
use tests::tap::Tap;

/// No wait of this module may take longer on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A simulator and an engine whose writes are tapped; campaigns are added as a test goes on.
struct Scene {
    smsc: Smsc,
    store: Arc<SqliteStore>,
    outfit: Outfit,
    engine: Engine,
    tap: Tap,
    _directory: TempDir,
}

/// A campaign with the workspace that it belongs to.
struct Sent<'a> {
    scene: &'a Scene,
    id: CampaignId,
}

impl Scene {
    async fn new(config: Config, options: RigOptions) -> Self {
        Self::with(config, options, |_| {}).await
    }

    async fn with(config: Config, options: RigOptions, change: impl FnOnce(&mut Outfit)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let smsc = simulator(config).await.unwrap();
        let address = smsc.local_addr().unwrap().to_string();
        let store = Arc::new(SqliteStore::open(&directory.path().join("store")).unwrap());
        let mut outfit = Outfit::on(&store, directory.path(), &address, &options).unwrap();
        let tap = Tap::default();
        outfit.env.net = Arc::new(tap.clone());
        change(&mut outfit);
        let engine = outfit.start().await.unwrap();
        Self { smsc, store, outfit, engine, tap, _directory: directory }
    }

    /// The same with a catalog that can be made to fail.
    async fn with_catalog(config: Config) -> (Self, Arc<FaultCatalog<Gate>>) {
        let mut catalog = None;
        let scene = Self::with(config, RigOptions::default(), |outfit| {
            let gate = Gate::new(Arc::clone(&outfit.catalog), "", Fate::Refused(0));
            let faulty = Arc::new(FaultCatalog::new(gate, Duration::ZERO, FaultPlan::default()));
            outfit.catalog = Arc::clone(&faulty) as _;
            catalog = Some(faulty);
        });
        (scene.await, catalog.unwrap())
    }

    async fn workspace(&self, slug: &str, saddr: &str) -> Seed {
        Seed::create(&*self.store, slug, saddr, jiff::Timestamp::now()).await.unwrap()
    }

    /// Starts an approved campaign to the first `recipients` numbers.
    async fn send(&self, seed: &Seed, recipients: u64, rules: SendingRules) -> Sent<'_> {
        let no = self.store.next_campaign_no().await.unwrap();
        let mut writer = self.store.write_recipients(no, recipients).unwrap();
        let numbers: Vec<u64> = (FIRST_NUMBER..FIRST_NUMBER + recipients).collect();
        for chunk in numbers.chunks(CHUNK_RECIPIENTS) {
            writer.chunk(chunk, &[]).unwrap();
        }
        writer.finish().unwrap();
        let campaign = CampaignSeed {
            name: "campaign".to_owned(),
            mode: Mode::OnDemand,
            rules,
            text: "Hello".to_owned(),
            receipts: false,
            delivery_policy: DeliveryPolicy::AtMostOnce,
            recipients,
            recipients_digest: String::new(),
        };
        let id = seed.campaign(&*self.store, no, campaign, jiff::Timestamp::now()).await.unwrap();
        self.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
        Sent { scene: self, id }
    }

    async fn suppress(
        &self,
        scope: Scope,
        numbers: &[u64],
        kind: SuppressionKind,
    ) -> Result<u64, EngineError> {
        self.engine.suppress(scope, numbers.to_vec(), (kind, "console"), &Principal::engine()).await
    }

    /// A handset writes.
    fn write(&self, from: u64, to: &str, text: &str) {
        self.smsc.put_mobile(MobileMessage::text(from, to, text));
    }

    /// A list as the store has it.
    async fn list(&self, scope: Scope) -> Vec<Suppression> {
        self.store.suppressions(scope, None, 100).await.unwrap()
    }

    /// Waits until a list has that many entries.
    async fn until_listed(&self, scope: Scope, entries: usize) -> Vec<Suppression> {
        let end = Instant::now() + LIMIT;
        loop {
            let list = self.list(scope).await;
            if list.len() == entries {
                return list;
            }
            assert!(Instant::now() < end, "{} entries, {:?}", list.len(), self.engine.channels());
            tick().await;
        }
    }

    /// Waits until every message that handsets have written was taken.
    async fn until_taken(&self) {
        let end = Instant::now() + LIMIT;
        while self.smsc.mobile().0 > 0 {
            assert!(Instant::now() < end, "{:?} {:?}", self.smsc.mobile(), self.engine.channels());
            tick().await;
        }
    }

    /// Audited additions and removals of a list.
    async fn audited(&self, scope: Scope) -> (usize, usize) {
        let events = self.store.audit(scope, 0).await.unwrap();
        let count = |action: &str| events.iter().filter(|event| event.action == action).count();
        (count("suppression.add"), count("suppression.remove"))
    }

    async fn shutdown(&self) {
        tokio::time::timeout(LIMIT, self.engine.clone().shutdown()).await.expect("shuts down in time");
    }

    /// Ends the engine in order and starts another one on the same directory.
    async fn restart(&mut self) {
        self.shutdown().await;
        self.engine = self.outfit.start().await.unwrap();
    }
}

impl Sent<'_> {
    fn counts(&self) -> engine::model::Counts {
        self.scene.engine.progress(self.id).unwrap_or_default().counts
    }

    async fn until(&self, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + LIMIT;
        while !done(self) {
            let state = (self.counts(), self.scene.engine.channels());
            assert!(Instant::now() < end, "not within {LIMIT:?}: {state:?}");
            tick().await;
        }
    }

    async fn until_done(&self) {
        self.until(|sent| sent.counts().queued + sent.counts().in_flight == 0).await;
    }

    async fn campaign(&self) -> Campaign {
        self.scene.outfit.stored(self.id).await.unwrap()
    }

    /// Status and error of a recipient as the store has them, to be read when the engine has shut down.
    async fn unit(&self, number: u64) -> (UnitStatus, Option<u32>) {
        let at = usize::try_from(number - FIRST_NUMBER).unwrap();
        let chunk = u32::try_from(at / CHUNK_RECIPIENTS).unwrap();
        let unit = at % CHUNK_RECIPIENTS;
        let state = self.scene.store.state(self.campaign().await.no, chunk).await.unwrap().unwrap();
        let error = state.errors.iter().find(|(of, _)| usize::from(*of) == unit).map(|(_, code)| *code);
        (UnitStatus::from_octet(state.status[unit]).unwrap(), error)
    }
}

/// A campaign that is sent to people who opted out as well.
fn transactional() -> SendingRules {
    SendingRules { transactional: true, ..SendingRules::default() }
}

const SKIPPED: (UnitStatus, Option<u32>) = (UnitStatus::Skipped, Some(reason::OPTED_OUT));
const BLOCKED: (UnitStatus, Option<u32>) = (UnitStatus::Skipped, Some(reason::BLOCKED));
