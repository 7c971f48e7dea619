//! The fields of a contract: named, because their names are the JSON's keys.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Data, DataStruct, DeriveInput, Field, Fields, Ident};

use crate::attribute;

/// The named fields of the struct that is to become `what`.
pub(crate) fn of<'a>(input: &'a DeriveInput, what: &str) -> syn::Result<Vec<&'a Field>> {
    let name = &input.ident;
    let refuse = |span: Span, why: String| Err(syn::Error::new(span, why));
    if !input.generics.params.is_empty() {
        return refuse(
            input.generics.span(),
            format!("{what} has no generics: `{name}` must be one type with one wire name"),
        );
    }
    match &input.data {
        Data::Struct(DataStruct {
            fields: Fields::Named(fields),
            ..
        }) => Ok(fields.named.iter().collect()),
        Data::Struct(_) => refuse(
            name.span(),
            format!("{what} is a struct with named fields, which become the keys of its JSON: `struct {name} {{ … }}`"),
        ),
        Data::Enum(_) | Data::Union(_) => refuse(
            name.span(),
            format!(
                "{what} is a struct; give each variant of `{name}` a struct of its own, or make it a field with `#[derive(Payload)]`"
            ),
        ),
    }
}

/// The field marked with `#[mark]`, if there is one. `Err` when there are two.
pub(crate) fn marked<'a>(fields: &[&'a Field], mark: &str) -> syn::Result<Option<&'a Field>> {
    let mut found = None;
    for field in fields {
        let Some(attribute) = attribute::only(&field.attrs, mark)? else {
            continue;
        };
        if !matches!(attribute.meta, syn::Meta::Path(_)) {
            return Err(syn::Error::new_spanned(
                attribute,
                format!("`#[{mark}]` takes no arguments"),
            ));
        }
        if found.is_some() {
            return Err(syn::Error::new_spanned(
                attribute,
                format!("`#[{mark}]` marks a second field; it marks exactly one"),
            ));
        }
        found = Some(*field);
    }
    Ok(found)
}

/// The field of this name, if there is one.
pub(crate) fn named<'a>(fields: &[&'a Field], name: &str) -> Option<&'a Field> {
    fields.iter().copied().find(|field| ident(field) == name)
}

/// The name of a named field.
pub(crate) fn ident(field: &Field) -> Ident {
    field
        .ident
        .clone()
        .unwrap_or_else(|| Ident::new("_", Span::call_site()))
}

/// Refuses a sealed field where its text is used: every sealed value shows as the same text.
pub(crate) fn refuse_sealed(field: &Field, what: &str) -> syn::Result<()> {
    match &field.ty {
        syn::Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Sealed") => {
            Err(syn::Error::new(
                field.ty.span(),
                format!("{what} is stored in clear, so it cannot be `Sealed`; use an id"),
            ))
        }
        _ => Ok(()),
    }
}
