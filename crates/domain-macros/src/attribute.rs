//! The one attribute that describes a contract: `#[event(…)]`, `#[task(…)]` or `#[workflow(…)]`.

use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::{Attribute, DeriveInput, LitInt};

/// Reads the attribute `name` of `input`, calling `take` with every key. `Err` when it is missing, given twice, or has a
/// key that `take` does not know.
pub(crate) fn read(
    input: &DeriveInput,
    name: &str,
    example: &str,
    known: &[&str],
    mut take: impl FnMut(&str, &ParseNestedMeta<'_>) -> syn::Result<bool>,
) -> syn::Result<()> {
    let attribute = only(&input.attrs, name)?.ok_or_else(|| {
        syn::Error::new(
            input.ident.span(),
            format!("`{}` needs `#[{name}(…)]`, such as `{example}`", input.ident),
        )
    })?;
    if matches!(attribute.meta, syn::Meta::Path(_)) {
        return Err(syn::Error::new_spanned(
            attribute,
            format!("`#[{name}]` needs its keys, such as `{example}`"),
        ));
    }
    let mut seen: Vec<String> = Vec::new();
    attribute.parse_nested_meta(|meta| {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if seen.contains(&key) {
            return Err(meta.error(format!("`{key}` is given twice")));
        }
        if !take(&key, &meta)? {
            let known = known.join("`, `");
            return Err(meta.error(format!("unknown key `{key}` of `#[{name}(…)]`; the keys are `{known}`")));
        }
        seen.push(key);
        Ok(())
    })
}

/// The attribute `name`, if there is one. `Err` when there are two.
pub(crate) fn only<'a>(attributes: &'a [Attribute], name: &str) -> syn::Result<Option<&'a Attribute>> {
    let mut found = attributes.iter().filter(|attribute| attribute.path().is_ident(name));
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(second) => Err(syn::Error::new_spanned(second, format!("`#[{name}]` is given twice"))),
    }
}

/// The value after the `=` of a key.
pub(crate) fn value<T: Parse>(meta: &ParseNestedMeta<'_>, expected: &str) -> syn::Result<T> {
    let value = meta.value().map_err(|_| meta.error(format!("expected {expected}")))?;
    value
        .parse()
        .map_err(|error| syn::Error::new(error.span(), format!("expected {expected}")))
}

/// A whole number of at least 1 after the `=` of a key.
pub(crate) fn count<N>(meta: &ParseNestedMeta<'_>, expected: &str) -> syn::Result<N>
where
    N: std::str::FromStr + PartialEq + Default,
{
    let literal: LitInt = value(meta, expected)?;
    match literal.base10_digits().parse::<N>() {
        Ok(number) if number != N::default() => Ok(number),
        Ok(_) | Err(_) => Err(syn::Error::new(literal.span(), format!("expected {expected}"))),
    }
}

/// A key that takes no value: it is there.
pub(crate) fn flag(meta: &ParseNestedMeta<'_>) -> syn::Result<bool> {
    if meta.input.is_empty() || meta.input.peek(syn::Token![,]) {
        return Ok(true);
    }
    Err(meta.error("this key takes no value"))
}

/// What a required key was given. `Err` at the type when it was not.
pub(crate) fn required<T>(given: Option<T>, input: &DeriveInput, name: &str, key: &str) -> syn::Result<T> {
    given.ok_or_else(|| {
        syn::Error::new(
            input.ident.span(),
            format!("`{}` has no `{key}`: add it to `#[{name}(…)]`", input.ident),
        )
    })
}
