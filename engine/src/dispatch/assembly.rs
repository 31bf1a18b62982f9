//! The wiring: which worker and which actor gets what. All of it in one place, none of it with a branch of policy.

use crate::dispatch::cells::{Board, LinkCells};
use crate::dispatch::channel::{self, ChannelActor, ChannelMsg, LinkArguments};
use crate::dispatch::channel_cells::ChannelCells;
use crate::dispatch::config::{BindKind, ChannelConfig};
use crate::dispatch::engine::{EngineConfig, EngineError};
use crate::dispatch::env::{Env, Halt};
use crate::dispatch::keeper::{Keeper, KeeperMsg};
use crate::dispatch::link::{Desk, LinkConfig, LinkShared};
use crate::dispatch::mark::MarkDir;
use crate::dispatch::matcher::channel_key;
use crate::dispatch::recorder::{self, Recorder};
use crate::dispatch::supervisor::{OnMeltdown, Recipe, Supervisor, SupervisorMsg};
use crate::store::{Journal, RowSeq};
use pdu::CommandId;
use ractor::{Actor, ActorCell, ActorRef};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How often the store folds its logs off the commit path.
const MAINTAIN_EVERY: Duration = Duration::from_millis(500);

/// The engine's failure, once there is one.
pub(crate) type Failure = watch::Sender<Option<String>>;

/// A channel as the engine's face knows it.
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) actor: ActorRef<ChannelMsg>,
    pub(crate) cells: Arc<ChannelCells>,
    pub(crate) links: Vec<Arc<LinkCells>>,
}

/// What all links share.
pub(crate) struct Plan<'a> {
    pub(crate) epoch: u32,
    pub(crate) marks: Arc<MarkDir>,
    pub(crate) board: &'a Arc<Board>,
    pub(crate) desk: &'a Arc<Mutex<Desk>>,
    pub(crate) recorder: &'a Arc<Recorder>,
    pub(crate) failure: &'a Failure,
}

/// Reports a meltdown as the engine's failure.
pub(crate) fn melt(failure: &Failure) -> OnMeltdown {
    let failure = failure.clone();
    Arc::new(move |reason| {
        tracing::error!(reason, "the dispatcher has given up");
        failure.send_replace(Some(reason));
    })
}

/// Makes a panic of a worker the engine's failure.
pub(crate) fn report_panic(name: &'static str, ended: oneshot::Receiver<()>, failure: &Failure) {
    let failure = failure.clone();
    tokio::spawn(async move {
        if ended.await.is_err() {
            failure.send_replace(Some(format!("the worker {name} panicked")));
        }
    });
}

/// Starts the group commit.
pub(crate) fn start_recorder(
    env: &Env,
    (recorder, journal): (&Arc<Recorder>, &Arc<dyn Journal>),
    keeper: &mpsc::Sender<KeeperMsg>,
    newest: RowSeq,
    (failure, halt): (&Failure, &Arc<Halt>),
) -> std::io::Result<oneshot::Receiver<()>> {
    let (recorder, journal) = (Arc::clone(recorder), Arc::clone(journal));
    let (keeper, clock, failure, halt) = (keeper.clone(), env.clock, failure.clone(), Arc::clone(halt));
    env.start("recorder", async move {
        let work = recorder::run(recorder, journal, keeper, clock, newest);
        if let Some(Err(reason)) = halt.unless(work).await {
            // What made the keeper end tells more than that it has.
            failure.send_if_modified(|known| known.is_none() && known.replace(reason.to_owned()).is_none());
        }
    })
}

/// Starts the keeper of accounts.
pub(crate) fn start_keeper(
    env: &Env,
    keeper: Keeper,
    inbox: mpsc::Receiver<KeeperMsg>,
    (failure, halt): (&Failure, &Arc<Halt>),
) -> std::io::Result<oneshot::Receiver<()>> {
    let (failure, halt) = (failure.clone(), Arc::clone(halt));
    env.start("keeper", async move {
        if let Some(Err(error)) = halt.unless(keeper.run(inbox)).await {
            failure.send_replace(Some(format!("a durable row could not be applied: {error}")));
        }
    })
}

/// Starts the worker that folds the store's logs.
pub(crate) fn start_maintainer(
    env: &Env,
    journal: &Arc<dyn Journal>,
    mut failure: watch::Receiver<Option<String>>,
) -> std::io::Result<()> {
    let journal = Arc::clone(journal);
    let ended = env.start("maintainer", async move {
        // A timeout is the tick; anything else means that the engine has ended.
        while tokio::time::timeout(MAINTAIN_EVERY, failure.wait_for(Option::is_some)).await.is_err() {
            if let Err(error) = journal.maintain().await {
                tracing::warn!(%error, "store housekeeping failed");
            }
        }
    });
    ended.map(drop)
}

/// Starts the dispatcher: root supervisor, channels, binds. The receiver resolves when the last channel has ended.
pub(crate) async fn start_channels(
    env: &Env,
    config: &EngineConfig,
    plan: Plan<'_>,
) -> Result<(ActorRef<SupervisorMsg>, Vec<Channel>, oneshot::Receiver<()>), EngineError> {
    let incarnations = Arc::new(AtomicU32::new(0));
    let mut recipes = Vec::new();
    let mut parts = Vec::new();
    for (at, channel) in (0u64..).zip(&config.channels) {
        let cells = Arc::new(ChannelCells::new(channel.rate_per_s, env.seed ^ at << 32));
        // Empty: the last run may have used the burst a moment ago.
        cells.bucket.take(env.clock.now().mono_us * 1000, u32::MAX);
        let mut links = Vec::new();
        let mut arguments = Vec::new();
        for (kind, bind) in (0u64..).zip(binds(channel)) {
            let link = Arc::new(LinkCells::default());
            plan.board.add(Arc::clone(&link));
            plan.recorder.listen(Arc::clone(&link.bell));
            let shared = Arc::new(LinkShared {
                config: link_config(channel, (at, bind), config.drain_timeout),
                channel: Arc::clone(&cells),
                board: Arc::clone(plan.board),
                recorder: Arc::clone(plan.recorder),
                desk: Arc::clone(plan.desk),
                marks: Arc::clone(&plan.marks),
                epoch: plan.epoch,
                incarnations: Arc::clone(&incarnations),
            });
            arguments.push((shared, Arc::clone(&link), env.seed ^ (at << 32 | kind)));
            links.push(link);
        }
        recipes.push(channel_recipe(channel.name.clone(), env.clone(), arguments, melt(plan.failure)));
        parts.push((channel.name.clone(), cells, links));
    }
    let (ready, started) = oneshot::channel();
    let ended = env.start("dispatch", dispatch(melt(plan.failure), recipes, ready))?;
    let (root, actors) = started
        .await
        .map_err(|_| EngineError::NotRunning("the dispatcher did not start".to_owned()))?
        .map_err(EngineError::NotRunning)?;
    let channels = parts
        .into_iter()
        .zip(actors)
        .map(|((name, cells, links), actor)| Channel { name, actor: actor.into(), cells, links })
        .collect();
    Ok((root, channels, ended))
}

type Started = Result<(ActorRef<SupervisorMsg>, Vec<ActorCell>), String>;

async fn dispatch(on_meltdown: OnMeltdown, recipes: Vec<Recipe>, ready: oneshot::Sender<Started>) {
    let (root, handle) = match Actor::spawn(None, Supervisor, on_meltdown).await {
        Ok(started) => started,
        Err(error) => return drop(ready.send(Err(error.to_string()))),
    };
    let mut actors = Vec::new();
    for recipe in recipes {
        match start_child(&root, recipe).await {
            Ok(child) => actors.push(child),
            Err(error) => return drop(ready.send(Err(error.to_string()))),
        }
    }
    if ready.send(Ok((root.clone(), actors.clone()))).is_err() {
        return;
    }
    for channel in &actors {
        // Without a time limit the wait cannot fail.
        let _ = channel.wait(None).await;
    }
    root.stop(None);
    // The supervisor's handler does not panic; were it to, there is nothing left to end.
    let _ = handle.await;
}

/// Asks a supervisor to start a child.
pub(crate) async fn start_child(
    supervisor: &ActorRef<SupervisorMsg>,
    recipe: Recipe,
) -> Result<ActorCell, EngineError> {
    let (reply, answer) = oneshot::channel();
    supervisor
        .cast(SupervisorMsg::Start(recipe, reply))
        .map_err(|error| EngineError::NotRunning(error.to_string()))?;
    match answer.await {
        Ok(started) => started.map_err(EngineError::NotRunning),
        Err(_) => Err(EngineError::NotRunning("supervisor".to_owned())),
    }
}

type LinkParts = (Arc<LinkShared>, Arc<LinkCells>, u64);

fn channel_recipe(name: String, env: Env, links: Vec<LinkParts>, on_lost: OnMeltdown) -> Recipe {
    let recipe = Recipe::new::<ChannelActor, _>(format!("channel {name}"), move || channel::Arguments {
        name: name.clone(),
        env: env.clone(),
        links: links
            .iter()
            .map(|(shared, cells, seed)| LinkArguments {
                shared: Arc::clone(shared),
                cells: Arc::clone(cells),
                seed: *seed,
            })
            .collect(),
        on_lost: Arc::clone(&on_lost),
    });
    // With the actor its binds are gone, and what was in their windows: only a start from the journal is exact.
    Recipe { restarts: false, ..recipe }
}

fn binds(channel: &ChannelConfig) -> Vec<CommandId> {
    let kinds: &[CommandId] = match channel.bind {
        BindKind::Transceiver => &[CommandId::BIND_TRANSCEIVER],
        BindKind::TransmitterReceiver => &[CommandId::BIND_TRANSMITTER, CommandId::BIND_RECEIVER],
    };
    kinds.repeat(channel.binds as usize)
}

fn link_config(
    channel: &ChannelConfig,
    (place, bind): (u64, CommandId),
    drain_timeout: Duration,
) -> LinkConfig {
    LinkConfig {
        place: u8::try_from(place).unwrap_or(u8::MAX),
        key: channel_key(&channel.name),
        address: channel.address.clone(),
        system_id: channel.system_id.clone(),
        password: channel.password.clone(),
        system_type: channel.system_type.clone(),
        bind,
        window: channel.window,
        id_form: channel.message_id,
        enquire_link: channel.enquire_link,
        response_timeout: channel.response_timeout,
        drain_timeout,
    }
}
