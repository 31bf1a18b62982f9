//! The actor of one active campaign: a thin shell around [`Supply`].
//!
//! It holds no truth: after a panic the next incarnation learns from the keeper what is still to be sent.

use crate::dispatch::keeper::Remaining;
use crate::dispatch::link::LinkMsg;
use crate::dispatch::loader::Loader;
use crate::dispatch::supply::{Do, Slice, Supply, SupplyMsg, SupplyRef};
use crate::model::CampaignNo;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;

/// What a campaign is told.
pub(crate) enum CampaignMsg {
    /// Slices wanted, given back or loaded.
    Supply(SupplyMsg),
    /// What is to be sent is known: supply may begin.
    Begin(Remaining),
    /// The campaign has ended.
    End,
}

/// Called with the mailbox of each new incarnation; answers with [`CampaignMsg::Begin`] when it is ready.
pub(crate) type OnStart = Arc<dyn Fn(ActorRef<CampaignMsg>) + Send + Sync>;

/// What the actor is started with.
pub(crate) struct Arguments {
    pub(crate) no: CampaignNo,
    pub(crate) parts: u8,
    pub(crate) loader: Loader,
    pub(crate) on_start: OnStart,
}

/// The actor's state.
pub(crate) struct State {
    arguments: Arguments,
    supply: Option<Supply>,
    /// What binds gave back before the beginning.
    early: Vec<Slice>,
}

/// The actor.
#[derive(Default)]
pub(crate) struct CampaignActor;

impl Actor for CampaignActor {
    type Msg = CampaignMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<CampaignMsg>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        (arguments.on_start)(me);
        Ok(State { arguments, supply: None, early: Vec::new() })
    }

    async fn handle(
        &self,
        me: ActorRef<CampaignMsg>,
        message: CampaignMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CampaignMsg::Begin(remaining) => {
                // Of what came back early the keeper knows most as queued; the rest it knew as in flight still.
                let early = std::mem::take(&mut state.early);
                let unknown =
                    early.into_iter().flat_map(units).filter(|slice| !remaining.has(slice)).collect();
                let mut supply = Supply::new(state.arguments.parts, remaining);
                perform(&mut supply, SupplyMsg::Returned(unknown), &state.arguments, &me);
                state.supply = Some(supply);
            }
            CampaignMsg::Supply(message) => match (&mut state.supply, message) {
                (Some(supply), message) => perform(supply, message, &state.arguments, &me),
                (
                    None,
                    SupplyMsg::Returned(slices) | SupplyMsg::Later(slices, _) | SupplyMsg::Pushed(slices),
                ) => state.early.extend(slices),
                // Links ask again when the campaign may send.
                (None, SupplyMsg::Want(..) | SupplyMsg::Loaded(..) | SupplyMsg::NotLoaded(_)) => {}
            },
            CampaignMsg::End => me.stop(None),
        }
        Ok(())
    }
}

/// A slice unit by unit.
fn units(slice: Slice) -> impl Iterator<Item = Slice> {
    (0..slice.count).map(move |n| Slice { from: slice.from + n, count: 1, ..slice.clone() })
}

fn perform(supply: &mut Supply, message: SupplyMsg, arguments: &Arguments, me: &ActorRef<CampaignMsg>) {
    let mut inbox = vec![message];
    while let Some(message) = inbox.pop() {
        for todo in supply.on(message) {
            match todo {
                Do::Fetch(chunk) => arguments.loader.fetch(arguments.no, chunk, supply_ref(me)),
                Do::Give(link, slices) => {
                    if let Err(LinkMsg::Slices(_, slices)) = link.push(LinkMsg::Slices(arguments.no, slices))
                    {
                        inbox.push(SupplyMsg::Returned(slices));
                    }
                }
            }
        }
    }
}

/// The campaign's mailbox as links and the loader know it.
pub(crate) fn supply_ref(campaign: &ActorRef<CampaignMsg>) -> SupplyRef {
    let campaign = campaign.clone();
    SupplyRef(Arc::new(move |message| {
        if campaign.cast(CampaignMsg::Supply(message)).is_err() {
            // The actor has panicked or ended: its successor learns from the keeper what is left.
            tracing::debug!("message for a campaign that is gone");
        }
    }))
}
