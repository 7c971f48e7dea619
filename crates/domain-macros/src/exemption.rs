//! `#[exempt(organization | system, "reason")]`: why a contract carries fewer tenant ids than both.

use syn::parse::{Parse, ParseStream};
use syn::{DeriveInput, Ident, LitStr, Token};

use crate::attribute;

/// Which ids a contract does without, and why.
pub(crate) struct Exemption {
    pub(crate) from: ExemptFrom,
    pub(crate) reason: LitStr,
}

/// What a contract does without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExemptFrom {
    /// The project id: it belongs to an organization as a whole.
    Project,
    /// Both: it belongs to the system.
    Tenant,
}

const FORM: &str = "expected `#[exempt(organization, \"reason\")]` (no project id) or \
                    `#[exempt(system, \"reason\")]` (no tenant at all)";

impl Exemption {
    /// The exemption of `input`, if it has one.
    pub(crate) fn of(input: &DeriveInput) -> syn::Result<Option<Self>> {
        let Some(attribute) = attribute::only(&input.attrs, "exempt")? else {
            return Ok(None);
        };
        if !matches!(attribute.meta, syn::Meta::List(_)) {
            return Err(syn::Error::new_spanned(attribute, FORM));
        }
        attribute.parse_args().map(Some)
    }
}

impl Parse for Exemption {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let kind: Ident = input.parse().map_err(|error| syn::Error::new(error.span(), FORM))?;
        let from = match kind.to_string().as_str() {
            "organization" => ExemptFrom::Project,
            "system" => ExemptFrom::Tenant,
            _ => return Err(syn::Error::new(kind.span(), FORM)),
        };
        let no_reason = format!("an exemption needs its reason: `#[exempt({kind}, \"reason\")]`");
        if input.is_empty() {
            return Err(syn::Error::new(kind.span(), no_reason));
        }
        input.parse::<Token![,]>()?;
        let reason: LitStr = input
            .parse()
            .map_err(|error| syn::Error::new(error.span(), &no_reason))?;
        if reason.value().trim().is_empty() {
            return Err(syn::Error::new(reason.span(), no_reason));
        }
        let _: Option<Token![,]> = input.parse()?;
        if !input.is_empty() {
            return Err(input.error(FORM));
        }
        Ok(Self { from, reason })
    }
}
