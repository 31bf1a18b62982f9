//! Supervision: children are started by a recipe, restarted when they panic, and given up when they panic too often.
//!
//! ractor's default handler stops a supervisor on any child's exit; this one never does. A child that stops by
//! itself is forgotten; more than [`MAX_RESTARTS`] panics in [`PERIOD`] end the engine, because a restart then
//! mends nothing and the journal makes a new start exact.

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Panics of all children that are tolerated within [`PERIOD`].
const MAX_RESTARTS: usize = 5;
/// Over which panics are counted.
const PERIOD: Duration = Duration::from_secs(10);

type Spawning = Pin<Box<dyn Future<Output = Result<ActorCell, ractor::SpawnErr>> + Send>>;

/// How to start a child under the given supervisor.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    /// Whether a panic may be mended by a restart; where it would lose what only the child knew, it may not.
    pub(crate) restarts: bool,
    pub(crate) spawn: Arc<dyn Fn(ActorCell) -> Spawning + Send + Sync>,
}

impl Recipe {
    /// A recipe around an actor whose arguments can be made again.
    pub(crate) fn new<A, F>(name: String, arguments: F) -> Self
    where
        A: Actor + Default,
        F: Fn() -> A::Arguments + Send + Sync + 'static,
    {
        let arguments = Arc::new(arguments);
        let spawn = Arc::new(move |supervisor: ActorCell| {
            let arguments = Arc::clone(&arguments);
            Box::pin(async move {
                let (child, _) = Actor::spawn_linked(None, A::default(), arguments(), supervisor).await?;
                Ok(child.get_cell())
            }) as Spawning
        });
        Self { name, restarts: true, spawn }
    }
}

/// What a supervisor is told.
pub(crate) enum SupervisorMsg {
    /// Start a child and keep it running; answers with its cell.
    Start(Recipe, oneshot::Sender<Result<ActorCell, String>>),
}

/// What the engine hears when supervision gives up.
pub(crate) type OnMeltdown = Arc<dyn Fn(String) + Send + Sync>;

/// The supervisor's state.
pub(crate) struct State {
    children: BTreeMap<ActorId, Recipe>,
    panics: VecDeque<Instant>,
    on_meltdown: OnMeltdown,
}

/// The actor.
#[derive(Default)]
pub(crate) struct Supervisor;

impl Actor for Supervisor {
    type Msg = SupervisorMsg;
    type State = State;
    type Arguments = OnMeltdown;

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        on_meltdown: OnMeltdown,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State { children: BTreeMap::new(), panics: VecDeque::new(), on_meltdown })
    }

    async fn handle(
        &self,
        me: ActorRef<Self::Msg>,
        message: SupervisorMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let SupervisorMsg::Start(recipe, reply) = message;
        let started = (recipe.spawn)(me.get_cell()).await;
        let answer = match started {
            Ok(child) => {
                state.children.insert(child.get_id(), recipe);
                Ok(child)
            }
            Err(error) => Err(error.to_string()),
        };
        // Whoever asked may have gone; the child runs all the same.
        let _ = reply.send(answer);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(child, ..) => {
                state.children.remove(&child.get_id());
            }
            SupervisionEvent::ActorFailed(child, reason) => {
                let Some(recipe) = state.children.remove(&child.get_id()) else { return Ok(()) };
                tracing::error!(child = recipe.name, %reason, "actor panicked");
                if !recipe.restarts || state.is_meltdown(Instant::now()) {
                    (state.on_meltdown)(format!(
                        "{} panicked and is not started again: {reason}",
                        recipe.name
                    ));
                    return Ok(());
                }
                match (recipe.spawn)(me.get_cell()).await {
                    Ok(child) => {
                        state.children.insert(child.get_id(), recipe);
                    }
                    Err(error) => {
                        (state.on_meltdown)(format!("{} does not start again: {error}", recipe.name))
                    }
                }
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl State {
    /// Counts a panic; whether there were too many.
    fn is_meltdown(&mut self, now: Instant) -> bool {
        self.panics.push_back(now);
        while self.panics.front().is_some_and(|at| now.duration_since(*at) > PERIOD) {
            self.panics.pop_front();
        }
        self.panics.len() > MAX_RESTARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::mpsc;

    #[derive(Default)]
    struct Fragile;

    impl Actor for Fragile {
        type Msg = ();
        type State = mpsc::UnboundedSender<()>;
        type Arguments = mpsc::UnboundedSender<()>;

        async fn pre_start(
            &self,
            _: ActorRef<()>,
            started: mpsc::UnboundedSender<()>,
        ) -> Result<Self::State, ActorProcessingErr> {
            started.send(())?;
            Ok(started)
        }

        async fn handle(
            &self,
            _: ActorRef<()>,
            (): (),
            _: &mut Self::State,
        ) -> Result<(), ActorProcessingErr> {
            panic!("as ordered")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_is_started_again_after_a_panic_and_given_up_after_too_many() {
        let meltdowns = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&meltdowns);
        let melted: OnMeltdown = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let (supervisor, handle) = Actor::spawn(None, Supervisor, melted).await.expect("supervisor starts");
        let (started, mut starts) = mpsc::unbounded_channel();
        let cell = Arc::new(std::sync::Mutex::new(None));
        let recipe = Recipe::new::<Fragile, _>("fragile".to_owned(), move || started.clone());
        let (reply, answer) = oneshot::channel();
        let inner = recipe.spawn.clone();
        let seen = Arc::clone(&cell);
        let spawn: Arc<dyn Fn(ActorCell) -> Spawning + Send + Sync> = Arc::new(move |s| {
            let (inner, seen) = (inner.clone(), Arc::clone(&seen));
            Box::pin(async move {
                let child = inner(s).await?;
                *seen.lock().expect("lock") = Some(child.clone());
                Ok(child)
            })
        });
        supervisor.cast(SupervisorMsg::Start(Recipe { spawn, ..recipe }, reply)).expect("alive");
        answer.await.expect("answered").expect("started");
        for _ in 0..=MAX_RESTARTS {
            starts.recv().await.expect("a start");
            // The cell is stored right behind the start: wait for the supervisor's turn to be over.
            tokio::task::yield_now().await;
            let child: ActorCell = cell.lock().expect("lock").take().expect("child is known");
            child.send_message(()).expect("alive");
        }
        supervisor.drain().expect("alive");
        handle.await.expect("supervisor ended in order");
        assert_eq!(meltdowns.load(Ordering::SeqCst), 1);
    }
}
