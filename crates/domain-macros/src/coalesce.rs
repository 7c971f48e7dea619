//! `#[coalesce(…)]`: how publishes of a task become fewer when nothing else is said.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, DeriveInput, Field, Ident, LitStr};

use crate::attribute::{only, value};
use crate::fields;

const EXAMPLE: &str = "#[coalesce(debounce(quiet = \"90s\", max_wait = \"15m\"), key = record_id)]";
const POLICIES: &str = "`replace`, `once(ttl = \"1h\")`, `while_pending`, `while_active(skip)`, \
    `while_active(run_again_once)`, `debounce(quiet = \"90s\", max_wait = \"15m\")`, `throttle(every = \"1m\")` and \
    `latest_throttle(every = \"1m\")`";
/// Those of `LONGEST_DELAY`.
const LONGEST_MILLIS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// The method `coalescing`, if the contract says how. `is_ordered`: it has an order key.
pub(crate) fn method(
    domain: &TokenStream,
    input: &DeriveInput,
    all: &[&Field],
    is_ordered: bool,
) -> syn::Result<Option<TokenStream>> {
    let Some(attribute) = only(&input.attrs, "coalesce")? else {
        return Ok(None);
    };
    let Coalesce { policy, key } = Coalesce::read(attribute)?;
    let field = fields::named(all, &key.to_string()).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|field| fields::ident(field).to_string()).collect();
        let names = names.join("`, `");
        syn::Error::new(
            key.span(),
            format!("there is no field `{key}`; the fields are `{names}`"),
        )
    })?;
    fields::refuse_sealed(field, "a coalescing key")?;
    if is_ordered && matches!(policy.kind, Kind::WhileActive(Some(Then::RunAgainOnce))) {
        return Err(syn::Error::new(
            policy.name.span(),
            "`while_active(run_again_once)` keeps the order of its key, so that the task has no `order_key` of its own",
        ));
    }
    let key = quote_spanned!(field.ty.span()=> &self.#key);
    let coalescing = policy.emit(domain, &key)?;
    Ok(Some(quote! {
        fn coalescing(&self) -> ::core::option::Option<#domain::tasks::Coalescing> {
            ::core::option::Option::Some(#coalescing)
        }
    }))
}

struct Coalesce {
    policy: Policy,
    key: Ident,
}

struct Policy {
    name: Ident,
    kind: Kind,
}

/// Times in milliseconds.
#[derive(Clone, Copy)]
enum Kind {
    Replace,
    Once(Option<u64>),
    WhilePending,
    WhileActive(Option<Then>),
    Debounce(Option<u64>, Option<u64>),
    Throttle(Option<u64>),
    LatestThrottle(Option<u64>),
}

#[derive(Clone, Copy)]
enum Then {
    Skip,
    RunAgainOnce,
}

impl Coalesce {
    fn read(attribute: &Attribute) -> syn::Result<Self> {
        if !matches!(attribute.meta, syn::Meta::List(_)) {
            let what = format!("`#[coalesce]` needs a policy and a key, such as `{EXAMPLE}`");
            return Err(syn::Error::new_spanned(attribute, what));
        }
        let (mut policy, mut key) = (None::<Policy>, None::<Ident>);
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("key") {
                if key.is_some() {
                    return Err(meta.error("`key` is given twice"));
                }
                key = Some(value(&meta, "the name of a field")?);
                return Ok(());
            }
            let next = Policy::read(&meta)?;
            if let Some(first) = &policy {
                return Err(meta.error(format!("a second policy: `{}` is one already", first.name)));
            }
            policy = Some(next);
            Ok(())
        })?;
        let missing = |what: &str| {
            let what = format!("`#[coalesce(…)]` has no {what}, such as `{EXAMPLE}`");
            syn::Error::new_spanned(attribute, what)
        };
        Ok(Self {
            policy: policy.ok_or_else(|| missing("policy"))?,
            key: key.ok_or_else(|| missing("key"))?,
        })
    }
}

impl Policy {
    fn read(meta: &ParseNestedMeta<'_>) -> syn::Result<Self> {
        let unknown = || meta.error(format!("unknown policy; the policies are {POLICIES}"));
        let name = meta.path.get_ident().cloned().ok_or_else(unknown)?;
        let mut kind = match name.to_string().as_str() {
            "replace" => Kind::Replace,
            "once" => Kind::Once(None),
            "while_pending" => Kind::WhilePending,
            "while_active" => Kind::WhileActive(None),
            "debounce" => Kind::Debounce(None, None),
            "throttle" => Kind::Throttle(None),
            "latest_throttle" => Kind::LatestThrottle(None),
            _ => return Err(unknown()),
        };
        if meta.input.peek(syn::token::Paren) {
            meta.parse_nested_meta(|option| kind.take(&option))?;
        }
        Ok(Self { name, kind })
    }

    /// The policy, which has all of its times.
    fn emit(&self, domain: &TokenStream, key: &TokenStream) -> syn::Result<TokenStream> {
        let Self { name, kind } = self;
        let incomplete = |example: &str| syn::Error::new(name.span(), format!("`{name}` needs more: `{example}`"));
        let duration = |millis: u64| quote!(::core::time::Duration::from_millis(#millis));
        let coalescing = quote!(#domain::tasks::Coalescing);
        Ok(match *kind {
            Kind::Replace => quote!(#coalescing::replace(#key)),
            Kind::WhilePending => quote!(#coalescing::while_pending(#key)),
            Kind::Once(ttl) => {
                let ttl = duration(ttl.ok_or_else(|| incomplete("once(ttl = \"1h\")"))?);
                quote!(#coalescing::once(#key, #ttl))
            }
            Kind::WhileActive(then) => {
                let then = match then.ok_or_else(|| incomplete("while_active(run_again_once)"))? {
                    Then::Skip => quote!(Skip),
                    Then::RunAgainOnce => quote!(RunAgainOnce),
                };
                quote!(#coalescing::while_active(#key, #domain::tasks::WhenActive::#then))
            }
            Kind::Debounce(quiet, max_wait) => {
                let quiet_millis = quiet.ok_or_else(|| incomplete("debounce(quiet = \"90s\")"))?;
                let max_wait = match max_wait {
                    Some(longest) if longest < quiet_millis => {
                        let what = "`max_wait` is shorter than `quiet`: it would never be quiet";
                        return Err(syn::Error::new(name.span(), what));
                    }
                    Some(longest) => {
                        let longest = duration(longest);
                        quote!(::core::option::Option::Some(#longest))
                    }
                    None => quote!(::core::option::Option::None),
                };
                let quiet = duration(quiet_millis);
                quote!(#coalescing::debounce(#key, #quiet, #max_wait))
            }
            Kind::Throttle(every) => {
                let every = duration(every.ok_or_else(|| incomplete("throttle(every = \"1m\")"))?);
                quote!(#coalescing::throttle(#key, #every))
            }
            Kind::LatestThrottle(every) => {
                let every = duration(every.ok_or_else(|| incomplete("latest_throttle(every = \"1m\")"))?);
                quote!(#coalescing::latest_throttle(#key, #every))
            }
        })
    }
}

impl Kind {
    fn take(&mut self, option: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let name = option.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if let Self::WhileActive(then) = self {
            let said = match name.as_str() {
                "skip" => Then::Skip,
                "run_again_once" => Then::RunAgainOnce,
                _ => return Err(option.error("expected `skip` or `run_again_once`")),
            };
            if then.replace(said).is_some() {
                return Err(option.error("it either skips or runs again once"));
            }
            return Ok(());
        }
        let ((Self::Once(place), "ttl")
        | (Self::Debounce(place, _), "quiet")
        | (Self::Debounce(_, place), "max_wait")
        | (Self::Throttle(place) | Self::LatestThrottle(place), "every")) = (self, name.as_str())
        else {
            return Err(option.error(format!("`{name}` is none of its times; the policies are {POLICIES}")));
        };
        if place.replace(millis(option)?).is_some() {
            return Err(option.error(format!("`{name}` is given twice")));
        }
        Ok(())
    }
}

/// A time such as `"90s"`.
fn millis(option: &ParseNestedMeta<'_>) -> syn::Result<u64> {
    const EXPECTED: &str =
        "a time as a text, such as \"500ms\", \"90s\", \"15m\", \"1h\" or \"7d\", at most 36500 days";
    let literal: LitStr = value(option, EXPECTED)?;
    let text = literal.value();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: Option<u64> = match text.get(digits.len()..) {
        Some("ms") => Some(1),
        Some("s") => Some(1000),
        Some("m") => Some(60_000),
        Some("h") => Some(3_600_000),
        Some("d") => Some(86_400_000),
        _ => None,
    };
    let millis = unit.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit));
    millis
        .filter(|millis| (1..=LONGEST_MILLIS).contains(millis))
        .ok_or_else(|| syn::Error::new(literal.span(), format!("expected {EXPECTED}")))
}
