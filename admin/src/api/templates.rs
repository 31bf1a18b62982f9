//! Message templates over the store: what is read for a change of them, and which one a campaign's text is.
//!
//! Whatever approves a version, or takes the approved one away, bumps its template's version in the same transaction, so
//! that of two such changes at once one is made anew. A match is found by the text alone, never by what an author says.
//! Invariant: of one template at most one version is `Approved`, of an archived one none, and a workspace has at most
//! [`MAX_TEMPLATES`] that are not archived; so one page holds every text that a campaign can match.

use super::deciding::revision;
use super::problem::{Code, Problem};
use super::registry;
use super::roster;
use super::state::Api;
use engine::model::{
    Content, EntityId, MessageTemplate, Principal, RevisionStatus, TemplateId, TemplateStatus,
    TemplateVersion, UserId, Workspace, WorkspaceId,
};
use engine::store::{Change, Entity, Expect, Kind, MAX_PAGE, Page, Query, Scope};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// Most templates of one workspace that are not archived: one page holds them all.
pub(super) const MAX_TEMPLATES: usize = MAX_PAGE;
/// Most versions of one template: one answer shows them all, texts included.
pub(super) const MAX_VERSIONS: usize = 50;
/// Most versions of one workspace that wait for a decision: every look at the queue reads them.
pub(super) const MAX_PENDING: usize = MAX_PAGE;
/// Most templates that are not archived, and most versions that wait, of one author: no one uses up the others' share.
pub(super) const MAX_OF_ONE: usize = 50;

/// The message templates of one workspace.
#[derive(Clone, Copy)]
pub(super) struct Templates<'a> {
    api: &'a Api,
    workspace: WorkspaceId,
}

impl<'a> Templates<'a> {
    pub(super) fn new(api: &'a Api, workspace: WorkspaceId) -> Self {
        Self { api, workspace }
    }

    fn scope(&self) -> Scope {
        Scope::Workspace(self.workspace)
    }

    async fn page(
        &self,
        kind: Kind,
        statuses: Vec<String>,
        (after, limit): (Option<EntityId>, usize),
    ) -> Result<Page<Entity>, Problem> {
        let query = Query { kind, statuses, parent: None, after, limit };
        Ok(self.api.catalog.list(self.scope(), query).await?)
    }

    /// A page of templates, the newest first, and where the next one begins.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn listed(
        &self,
        status: Option<TemplateStatus>,
        page: (Option<EntityId>, usize),
    ) -> Result<(Vec<MessageTemplate>, Option<EntityId>), Problem> {
        let statuses = status.iter().map(|status| format!("{status:?}")).collect();
        let page = self.page(Kind::Template, statuses, page).await?;
        Ok((page.items.into_iter().filter_map(into_template).collect(), page.next))
    }

    /// A template.
    ///
    /// # Errors
    /// `not_found`, the store's.
    pub(super) async fn template(&self, id: Uuid) -> Result<MessageTemplate, Problem> {
        let found = self.api.catalog.get(self.scope(), Kind::Template, EntityId(id)).await?;
        into_template(found).ok_or_else(|| Problem::new(Code::NotFound))
    }

    /// A template that can still get versions.
    ///
    /// # Errors
    /// `state_conflict` for an archived one; as for [`Self::template`].
    pub(super) async fn open_template(&self, id: Uuid) -> Result<MessageTemplate, Problem> {
        let template = self.template(id).await?;
        if template.archived_at.is_none() {
            return Ok(template);
        }
        Err(Problem::because(Code::StateConflict, "The template is archived.")
            .with("present_status", "Archived"))
    }

    /// A version by the number that it has in its template.
    ///
    /// # Errors
    /// `not_found`, the store's.
    pub(super) async fn version(&self, template: TemplateId, n: u32) -> Result<TemplateVersion, Problem> {
        let key = format!("{template}/{n}");
        let found = self.api.catalog.find(self.scope(), Kind::TemplateVersion, key).await?;
        into_version(found).ok_or_else(|| Problem::new(Code::NotFound))
    }

    /// Every version of a template, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn versions(&self, template: TemplateId) -> Result<Vec<TemplateVersion>, Problem> {
        let (kind, parent) = (Kind::TemplateVersion, Some(template.into()));
        let query = Query { kind, statuses: Vec::new(), parent, after: None, limit: MAX_VERSIONS };
        let page = self.api.catalog.list(self.scope(), query).await?;
        Ok(page.items.into_iter().filter_map(into_version).collect())
    }

    /// The approved version of every template that is not archived.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn approved(&self) -> Result<Vec<TemplateVersion>, Problem> {
        let statuses = vec![format!("{:?}", RevisionStatus::Approved)];
        let page = self.page(Kind::TemplateVersion, statuses, (None, MAX_TEMPLATES)).await?;
        Ok(page.items.into_iter().filter_map(into_version).collect())
    }

    /// Every version of the workspace that waits for a decision, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn pending(&self) -> Result<Vec<TemplateVersion>, Problem> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let statuses = vec![format!("{:?}", RevisionStatus::PendingApproval)];
            let page = self.page(Kind::TemplateVersion, statuses, (after, MAX_PAGE)).await?;
            found.extend(page.items.into_iter().filter_map(into_version));
            after = page.next;
            if after.is_none() {
                found.reverse();
                return Ok(found);
            }
        }
    }

    /// Refuses one more version that waits for a decision, submitted by this author, where too many do.
    ///
    /// # Errors
    /// `state_conflict`, the store's.
    pub(super) async fn has_room_to_wait(&self, author: UserId) -> Result<(), Problem> {
        let pending = self.pending().await?;
        if pending.len() >= MAX_PENDING {
            let told =
                format!("{MAX_PENDING} versions of templates wait for a decision; more are not taken.");
            return Err(Problem::because(Code::StateConflict, told));
        }
        let is_theirs =
            |version: &&TemplateVersion| version.submitted_by.unwrap_or(version.created_by) == author;
        if pending.iter().filter(is_theirs).count() >= MAX_OF_ONE {
            let told = format!("{MAX_OF_ONE} versions of yours wait for a decision; more are not taken.");
            return Err(Problem::because(Code::StateConflict, told));
        }
        Ok(())
    }

    /// Counts the workspace's version up, if it has room for one more template of this author: of two that take the
    /// last place at once one is made anew.
    ///
    /// # Errors
    /// `state_conflict`, the store's.
    pub(super) async fn place(&self, author: UserId) -> Result<Change, Problem> {
        // Read before the templates: whoever creates another one in the meantime makes this change conflict.
        let workspace = roster::workspace(self.api, self.workspace).await?;
        let open = [TemplateStatus::Draft, TemplateStatus::Approved].map(|status| format!("{status:?}"));
        let open = self.page(Kind::Template, open.to_vec(), (None, MAX_TEMPLATES)).await?;
        if open.items.len() >= MAX_TEMPLATES {
            let told = format!("A workspace has at most {MAX_TEMPLATES} templates; archive another one.");
            return Err(Problem::because(Code::StateConflict, told));
        }
        let is_theirs = |template: &MessageTemplate| template.created_by == author;
        if open.items.into_iter().filter_map(into_template).filter(is_theirs).count() >= MAX_OF_ONE {
            let told = format!("{MAX_OF_ONE} templates of yours are open; archive one of them.");
            return Err(Problem::because(Code::StateConflict, told));
        }
        let expect = Expect::Version(workspace.version);
        let counted = Workspace { version: workspace.version + 1, ..workspace };
        Ok(self.change(expect, Entity::Workspace(counted), "workspace.count"))
    }

    /// The number of the next version of a template.
    ///
    /// # Errors
    /// `state_conflict`, the store's.
    pub(super) async fn next_n(&self, template: TemplateId) -> Result<u32, Problem> {
        let versions = self.versions(template).await?;
        if versions.len() >= MAX_VERSIONS {
            let told = format!("A template has at most {MAX_VERSIONS} versions; create another template.");
            return Err(Problem::because(Code::StateConflict, told));
        }
        Ok(versions.iter().map(|version| version.n).max().unwrap_or(0) + 1)
    }

    /// Archives the approved version of a template, if it has one.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn archiving(
        &self,
        template: &MessageTemplate,
        now: Timestamp,
    ) -> Result<Vec<Change>, Problem> {
        let Some(n) = template.active else { return Ok(Vec::new()) };
        let former = self.version(template.id, n).await?;
        if former.status != RevisionStatus::Approved {
            // Somebody was faster since the template was read, and its own compare-and-set will say so.
            return Ok(Vec::new());
        }
        let next = revision::archive(&former, now)?;
        Ok(vec![self.moved(&former, next, "template_version.archive")])
    }

    /// One change of an entity of the workspace.
    pub(super) fn change(&self, expect: Expect, entity: Entity, action: &'static str) -> Change {
        Change { scope: self.scope(), expect, entity, action }
    }

    /// A move of a version, as it was `before`.
    pub(super) fn moved(
        &self,
        before: &TemplateVersion,
        next: TemplateVersion,
        action: &'static str,
    ) -> Change {
        self.change(Expect::Version(before.state_version), Entity::TemplateVersion(next), action)
    }

    /// Applies changes; `false` when somebody was faster and they have to be made anew.
    ///
    /// # Errors
    /// The store's others.
    pub(super) async fn apply(
        &self,
        changes: Vec<Change>,
        by: &Principal,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        registry::apply(self.api, changes, by, now).await
    }

    /// What texts are approved now: two reads of the store, however many campaigns are compared.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn matches(&self) -> Result<Matches, Problem> {
        let (templates, _) = self.listed(Some(TemplateStatus::Approved), (None, MAX_TEMPLATES)).await?;
        let mut templates: HashMap<_, _> = templates.into_iter().map(|t| (t.id, t)).collect();
        let mut known = HashMap::new();
        for TemplateVersion { template_id, n, text, .. } in self.approved().await? {
            // One that was archived, or got another version, between the two reads is left out.
            if let Some(template) = templates.remove(&template_id).filter(|t| t.active == Some(n)) {
                known.insert(text, TemplateMatch { template_id, name: template.name, n });
            }
        }
        Ok(Matches(known))
    }
}

/// The approved template version that a campaign's text is, to the character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct TemplateMatch {
    #[schema(value_type = Uuid)]
    template_id: TemplateId,
    #[schema(example = "Login code")]
    name: String,
    /// The number of the version.
    #[schema(example = 3)]
    n: u32,
}

/// The approved template version that a campaign's text is, with what is known of the values, which are not compared.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ContentMatch {
    #[serde(flatten)]
    template: TemplateMatch,
    /// The longest value of each variable of the text: nobody has approved the values.
    longest_values: Vec<LongestValue>,
}

/// How long the values of a variable can be.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct LongestValue {
    /// The variable.
    #[schema(example = "code")]
    name: String,
    /// Characters of its longest value; for Trigger, whose list is open, the most that one may have.
    #[schema(example = 6)]
    max_chars: u16,
}

/// The approved texts of one workspace.
#[derive(Debug)]
pub(super) struct Matches(HashMap<String, TemplateMatch>);

impl Matches {
    /// The approved version with exactly this text; of several the one that was written first.
    fn of(&self, text: &str) -> Option<TemplateMatch> {
        self.0.get(text).cloned()
    }

    /// The approved version with exactly the text of a campaign, beside the length of the campaign's values.
    pub(super) fn of_content(&self, content: &Content) -> Option<ContentMatch> {
        let longest = content.variables.iter();
        let longest_values = longest
            .map(|variable| LongestValue { name: variable.name.clone(), max_chars: variable.max_chars });
        Some(ContentMatch { template: self.of(&content.text)?, longest_values: longest_values.collect() })
    }
}

fn into_template(entity: Entity) -> Option<MessageTemplate> {
    match entity {
        Entity::Template(template) => Some(template),
        _ => None,
    }
}

fn into_version(entity: Entity) -> Option<TemplateVersion> {
    match entity {
        Entity::TemplateVersion(version) => Some(version),
        _ => None,
    }
}
