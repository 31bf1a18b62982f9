//! The actor of one channel: runs its binds and tells each bind that comes up which campaigns may use it.

use crate::dispatch::cells::{LinkCells, OBEYS_ALL};
use crate::dispatch::env::Env;
use crate::dispatch::link::{self, FlowSpec, LinkInbox, LinkMsg, LinkShared};
use crate::model::CampaignNo;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// One bind to run.
pub(crate) struct LinkArguments {
    pub(crate) shared: Arc<LinkShared>,
    pub(crate) cells: Arc<LinkCells>,
    pub(crate) seed: u64,
}

/// What the actor is started with.
pub(crate) struct Arguments {
    pub(crate) name: String,
    pub(crate) env: Env,
    pub(crate) links: Vec<LinkArguments>,
    /// Called when a bind's task panicked: its window is lost, the engine has to start anew from the journal.
    pub(crate) on_lost: Arc<dyn Fn(String) + Send + Sync>,
}

/// What a channel is told.
pub(crate) enum ChannelMsg {
    /// A campaign may send here from now on; answered when every bind that is up has been told.
    Register(Box<FlowSpec>, oneshot::Sender<()>),
    /// A campaign has ended.
    Unregister(CampaignNo),
    /// The engine drains: the channel ends when its last bind has.
    Drain,
    /// A bind's incarnation came up, or went down.
    Link(usize, Option<Arc<LinkInbox>>),
}

/// The actor's state.
pub(crate) struct State {
    tasks: Vec<JoinHandle<()>>,
    inboxes: Vec<Option<Arc<LinkInbox>>>,
    flows: BTreeMap<CampaignNo, FlowSpec>,
}

impl Drop for State {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The actor.
#[derive(Default)]
pub(crate) struct ChannelActor;

impl Actor for ChannelActor {
    type Msg = ChannelMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<ChannelMsg>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let mut tasks = Vec::new();
        let mut inboxes = Vec::new();
        for (at, link) in arguments.links.into_iter().enumerate() {
            let channel = me.clone();
            let on_link = Arc::new(move |inbox| {
                if channel.cast(ChannelMsg::Link(at, inbox)).is_err() {
                    tracing::debug!("bind changed after its channel has ended");
                }
            });
            let (board, cells) = (Arc::clone(&link.shared.board), Arc::clone(&link.cells));
            let run = link::run(link.shared, arguments.env.clone(), link.cells, link.seed, on_link);
            let (name, on_lost) = (arguments.name.clone(), Arc::clone(&arguments.on_lost));
            let task = tokio::spawn(run);
            let abort = task.abort_handle();
            tasks.push(tokio::spawn(async move {
                // The watcher owns the bind's task: aborted, it takes it along.
                let _guard = AbortOnDrop(abort);
                if let Err(error) = task.await
                    && error.is_panic()
                {
                    // Its socket is gone with it: nothing more is written there.
                    board.publish(&cells, OBEYS_ALL);
                    on_lost(format!("a bind of channel {name} panicked"));
                }
            }));
            inboxes.push(None);
        }
        Ok(State { tasks, inboxes, flows: BTreeMap::new() })
    }

    async fn handle(
        &self,
        me: ActorRef<ChannelMsg>,
        message: ChannelMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ChannelMsg::Register(spec, told) => {
                for inbox in state.inboxes.iter().flatten() {
                    join(inbox, &spec);
                }
                state.flows.insert(spec.cells.no, *spec);
                // Whoever asked may have gone.
                let _ = told.send(());
            }
            ChannelMsg::Unregister(no) => {
                state.flows.remove(&no);
                for inbox in state.inboxes.iter().flatten() {
                    // A closed inbox has forgotten the campaign already.
                    let _ = inbox.push(LinkMsg::Leave(no));
                }
            }
            ChannelMsg::Drain => {
                let tasks = std::mem::take(&mut state.tasks);
                tokio::spawn(async move {
                    for task in tasks {
                        // A bind that panicked was reported by its watcher.
                        let _ = task.await;
                    }
                    me.stop(None);
                });
            }
            ChannelMsg::Link(at, inbox) => {
                for spec in inbox.iter().flat_map(|_| state.flows.values()) {
                    inbox.iter().for_each(|inbox| join(inbox, spec));
                }
                if let Some(place) = state.inboxes.get_mut(at) {
                    *place = inbox;
                }
            }
        }
        Ok(())
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn join(inbox: &LinkInbox, spec: &FlowSpec) {
    if inbox.push(LinkMsg::Join(Box::new(spec.clone()))).is_err() {
        tracing::debug!(campaign = spec.cells.no.0, "bind went down before the campaign joined");
    }
}
