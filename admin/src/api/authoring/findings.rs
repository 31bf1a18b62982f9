//! Everything that is wrong with what somebody wrote, gathered before it is refused, by the names of the fields.

use crate::api::problem::{Code, FieldError, Problem};
use engine::schedule::{Code as ScheduleCode, Refusal};

/// What is wrong so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings(Vec<(Code, FieldError)>);

impl Findings {
    /// Adds a field with an unusable value.
    pub(crate) fn add(&mut self, field: &str, code: &str, message: impl Into<String>) {
        self.add_as(Code::Invalid, field, code, message);
    }

    /// Adds one that has a kind of refusal of its own.
    pub(crate) fn add_as(&mut self, kind: Code, field: &str, code: &str, message: impl Into<String>) {
        let (field, code) = (field.to_owned(), code.to_owned());
        self.0.push((kind, FieldError { field, code, message: message.into() }));
    }

    /// Adds what the schedule refuses.
    pub(crate) fn add_schedule(&mut self, refusal: Refusal) {
        let kind = match refusal.code {
            ScheduleCode::PlanInfeasible => Code::PlanInfeasible,
            _ => Code::Invalid,
        };
        self.add_as(kind, refusal.field, refusal.code.as_str(), refusal.message);
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One by one.
    pub(crate) fn errors(&self) -> Vec<FieldError> {
        self.0.iter().map(|(_, error)| error.clone()).collect()
    }

    /// The refusal with all of them: of their kind when they share one, else `invalid`.
    ///
    /// # Errors
    /// 422 when anything is wrong.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let Some((first, error)) = self.0.first() else { return Ok(()) };
        let is_one_kind = self.0.iter().all(|(kind, _)| kind == first);
        let problem = match (is_one_kind, self.0.len()) {
            (_, 1) => Problem::because(*first, error.message.clone()),
            (true, _) => Problem::new(*first),
            (false, _) => Problem::new(Code::Invalid),
        };
        Err(self.0.iter().fold(problem, |problem, (_, error)| {
            problem.with_field(&error.field, &error.code, error.message.clone())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_one_kind_keep_it_and_mixed_ones_are_invalid() {
        let mut findings = Findings::default();
        assert_eq!(findings.check(), Ok(()));
        findings.add_as(Code::SenderMissing, "sender_id", "required", "A sender is needed.");
        let code = |findings: &Findings| findings.check().err().map(|problem| problem.code());
        assert_eq!(code(&findings), Some(Code::SenderMissing));
        findings.add("name", "required", "A name is needed.");
        assert_eq!(code(&findings), Some(Code::Invalid));
        let problem = findings.check().expect_err("two mistakes");
        assert_eq!(problem.fields().collect::<Vec<_>>(), ["sender_id", "name"]);
    }
}
