//! National numbers of one country, by the metadata of the `phonenumber` crate.
//!
//! Only the metadata is used: that crate's parser takes a global lock for every pattern and measured 3.6 us a number,
//! more than the rest of the intake together. The patterns of one region are compiled once here and match whole numbers.

use phonenumber::metadata::{DATABASE, Descriptor};
use regex::Regex;

use super::error::IntakeError;
use super::number::{E164, MAX_DIGITS, MIN_DIGITS, international};
use super::reject::RejectReason;

/// Without a trunk prefix, a number of at least this many digits is read as international when both readings are possible:
/// national numbers are then written with their trunk prefix.
const INTERNATIONAL_DIGITS: usize = 11;

/// A country whose national numbers are understood.
#[derive(Debug)]
pub struct Region {
    code: String,
    /// What precedes a national number when dialled inside the country, and perhaps what is to be kept of it.
    trunk: Option<Trunk>,
    general: Regex,
    mobile: Option<Regex>,
}

#[derive(Debug)]
struct Trunk {
    pattern: Regex,
    replacement: Option<String>,
}

impl Region {
    /// The region of an ISO 3166 country code (`DE`), in any case. Fails for a country without metadata.
    pub fn new(country: &str) -> Result<Self, IntakeError> {
        let wanted = country.trim().to_ascii_uppercase();
        let unknown = || IntakeError::Options(format!("unknown region {country:?}"));
        if wanted.len() != 2 {
            return Err(unknown());
        }
        let metadata = DATABASE.by_id(&wanted).ok_or_else(unknown)?;
        let compile = |pattern: &str, end: &str| {
            Regex::new(&format!("(?x-u)^(?:{pattern}){end}")).map_err(|_| unknown())
        };
        let whole = |descriptor: &Descriptor| compile(descriptor.national_number().as_str(), "$");
        let literal = metadata.national_prefix().map(regex::escape);
        let parsing = metadata.national_prefix_for_parsing();
        let trunk = match parsing.map(|p| p.as_str().to_owned()).or(literal) {
            None => None,
            Some(pattern) => Some(Trunk {
                pattern: compile(&pattern, "")?,
                replacement: metadata.national_prefix_transform_rule().map(braced),
            }),
        };
        Ok(Self {
            code: metadata.country_code().to_string(),
            trunk,
            general: whole(metadata.descriptors().general())?,
            mobile: metadata.descriptors().mobile().map(whole).transpose()?,
        })
    }

    /// Reads digits without `+` or `00`: national if they are a mobile number of this region or carry its trunk prefix,
    /// else international where that reading is the likelier one.
    pub(super) fn resolve(&self, digits: &[u8]) -> Result<E164, RejectReason> {
        let written = std::str::from_utf8(digits).unwrap_or_default();
        let national = self.without_trunk(written);
        if self.is_mobile(&national) {
            return self.join(&national);
        }
        if let Some(rest) = written.strip_prefix(&self.code)
            && (self.is_mobile(rest) || self.general.is_match(rest))
        {
            return international(digits);
        }
        let possible = self.general.is_match(&national);
        let had_trunk = national.len() < written.len();
        if possible && (had_trunk || written.len() < INTERNATIONAL_DIGITS) {
            return self.join(&national);
        }
        match international(digits) {
            Ok(number) if written.len() >= INTERNATIONAL_DIGITS => Ok(number),
            Ok(_) | Err(_) if possible => self.join(&national),
            Ok(_) | Err(_) if written.len() < MIN_DIGITS - 1 => Err(RejectReason::TooShort),
            Ok(_) | Err(_) if written.len() > MAX_DIGITS => Err(RejectReason::TooLong),
            Ok(_) | Err(_) => Err(RejectReason::InvalidForRegion),
        }
    }

    fn is_mobile(&self, national: &str) -> bool {
        self.mobile.as_ref().is_some_and(|mobile| mobile.is_match(national))
    }

    fn without_trunk(&self, written: &str) -> String {
        let stripped = self.trunk.as_ref().map(|trunk| trunk.strip(written));
        match stripped {
            // A number that only looks as if it carried the prefix stays as it is.
            Some(stripped) if self.general.is_match(&stripped) || !self.general.is_match(written) => stripped,
            Some(_) | None => written.to_owned(),
        }
    }

    fn join(&self, national: &str) -> Result<E164, RejectReason> {
        let joined = format!("{}{national}", self.code);
        match international(joined.as_bytes()) {
            Ok(number) => Ok(number),
            Err(reason @ (RejectReason::TooShort | RejectReason::TooLong)) => Err(reason),
            Err(_) => Err(RejectReason::InvalidForRegion),
        }
    }
}

impl Trunk {
    fn strip(&self, written: &str) -> String {
        let Some(found) = self.pattern.captures(written) else {
            return written.to_owned();
        };
        let groups = found.len() - 1;
        match &self.replacement {
            Some(replacement) if groups > 0 && found.get(groups).is_some() => {
                self.pattern.replace(written, replacement.as_str()).into_owned()
            }
            Some(_) | None => written[found.get(0).map_or(0, |all| all.end())..].to_owned(),
        }
    }
}

/// `$1` of the metadata as `${1}`, so that a digit behind it does not become part of the group's name.
fn braced(rule: &str) -> String {
    let mut out = String::with_capacity(rule.len() + 4);
    let mut characters = rule.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('$', Some(group)) if group.is_ascii_digit() => {
                out.push_str("${");
                out.extend(characters.next());
                out.push('}');
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::number::normalise;
    use super::*;

    #[test]
    fn national_forms_are_read_by_their_region() {
        use RejectReason::*;
        let cases: &[(&str, &str, Result<u64, RejectReason>)] = &[
            ("DE", "0170 1234567", Ok(491_701_234_567)),
            ("de", "1701234567", Ok(491_701_234_567)),
            ("DE", "491701234567", Ok(491_701_234_567)),
            ("DE", "447911123456", Ok(447_911_123_456)),
            ("DE", "030 12345678", Ok(493_012_345_678)),
            ("DE", "+44 7911 123456", Ok(447_911_123_456)),
            ("DE", "0044 7911 123456", Ok(447_911_123_456)),
            ("GB", "07911 123456", Ok(447_911_123_456)),
            ("US", "(202) 555-0123", Ok(12_025_550_123)),
            ("US", "1 202 555 0123", Ok(12_025_550_123)),
            ("US", "447911123456", Ok(447_911_123_456)),
            ("RU", "8 912 345-67-89", Ok(79_123_456_789)),
            ("RU", "9123456789", Ok(79_123_456_789)),
            ("IT", "312 345 6789", Ok(393_123_456_789)),
            ("IT", "06 1234 5678", Ok(390_612_345_678)),
            ("FR", "06 12 34 56 78", Ok(33_612_345_678)),
            ("AR", "011 15-2345-6789", Ok(5_491_123_456_789)),
            ("GB", "079", Err(TooShort)),
            ("FR", "0012", Err(TooShort)),
            ("FR", "0999", Err(TooShort)),
            ("FR", "012345678901", Err(InvalidForRegion)),
            ("US", "0170 1234567", Err(InvalidForRegion)),
        ];
        for (region, written, wanted) in cases {
            let region = Region::new(region).unwrap();
            let got = normalise(written.as_bytes(), Some(&region)).map(E164::get);
            assert_eq!(got, *wanted, "{written:?} in {}", region.code);
        }
    }

    #[test]
    fn every_mobile_example_of_the_metadata_is_accepted_in_both_forms() {
        let mut seen = 0;
        for code in 1..=999_u16 {
            for metadata in DATABASE.by_code(&code).unwrap_or_default() {
                if metadata.id().len() != 2 {
                    continue;
                }
                let region = Region::new(metadata.id()).unwrap();
                let Some(example) = metadata.descriptors().mobile().and_then(Descriptor::example) else {
                    continue;
                };
                let full = format!("{code}{example}");
                if full.len() < MIN_DIGITS {
                    continue;
                }
                let wanted = international(full.as_bytes());
                assert!(wanted.is_ok(), "{full}");
                assert_eq!(
                    normalise(example.as_bytes(), Some(&region)),
                    wanted,
                    "{} {example}",
                    metadata.id()
                );
                assert_eq!(normalise(full.as_bytes(), Some(&region)), wanted, "{} {full}", metadata.id());
                seen += 1;
            }
        }
        assert!(seen > 200, "{seen}");
    }

    #[test]
    fn an_unknown_region_is_refused() {
        assert!(matches!(Region::new("XX"), Err(IntakeError::Options(_))));
    }
}
