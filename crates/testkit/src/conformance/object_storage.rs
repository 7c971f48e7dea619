//! What every object storage does, whoever keeps the objects.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::effects::{
    LONGEST_DOWNLOAD_LINK, MAX_PART_BYTES, MAX_PARTS, ObjectKey, ObjectStorage, ObjectStorageError, PartNumber,
};
use aftercommit_domain::time::{Timestamp, hours};

use crate::conformance::suite::block_on;
use crate::conformance::support::{ok, soon};

/// An object storage as its suite sees it: empty, and of its own.
#[expect(
    async_fn_in_trait,
    reason = "a scenario runs on the thread it was started on; nothing sends these futures"
)]
pub trait ObjectStorageProvider: Sized + Sync + 'static {
    /// Starts one that is empty.
    async fn start() -> Self;

    /// The storage as a process that was just started has it: what was kept before is there, what a process had in
    /// memory is not.
    fn storage(&self) -> Arc<dyn ObjectStorage>;

    /// The time links end by.
    fn now(&self) -> Timestamp;

    /// Stops it and removes what it kept.
    async fn stop(self) {}
}

/// The scenarios of an object storage: `object_storage_conformance!(Provider)`.
#[macro_export]
macro_rules! object_storage_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            object_storage,
            $crate::conformance::object_storage::run,
            [
                an_object_is_its_parts_in_the_order_of_their_numbers,
                nobody_sees_an_object_before_it_is_complete,
                an_upload_goes_on_in_another_process_after_the_parts_that_are_kept,
                a_part_put_again_replaces_itself,
                a_repeated_completion_finds_what_it_made,
                a_completion_without_all_parts_is_refused_and_leaves_them,
                a_completion_takes_no_more_parts_than_it_says,
                an_aborted_upload_leaves_nothing,
                an_object_without_parts_is_empty,
                a_deleted_object_is_gone_and_deleting_it_again_is_no_error,
                objects_of_different_tenants_with_one_name_do_not_meet,
                a_part_over_the_limit_is_refused_and_not_kept,
                a_large_object_is_read_in_pieces,
                concurrent_uploads_do_not_mix,
                a_link_ends_when_it_was_told_to,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 15;

/// Runs one scenario against a fresh storage.
#[doc(hidden)]
pub fn run<P: ObjectStorageProvider>(name: &str, scenario: impl AsyncFnOnce(&P)) {
    block_on(name, async {
        let provider = P::start().await;
        scenario(&provider).await;
        provider.stop().await;
    });
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(&Tenant::project(1_i64, 10_i64), "exports", name).expect("a key")
}

fn number(number: u32) -> PartNumber {
    PartNumber::new(number).expect("a number of a part")
}

async fn put(storage: &dyn ObjectStorage, key: &ObjectKey, part: u32, content: &[u8]) {
    ok(
        "a part to be kept",
        storage.put_part(key, number(part), content.to_vec()),
    )
    .await;
}

async fn complete(storage: &dyn ObjectStorage, key: &ObjectKey, parts: u32) -> u64 {
    ok("an object to be completed", storage.complete(key, parts)).await
}

async fn parts(storage: &dyn ObjectStorage, key: &ObjectKey) -> u32 {
    ok("parts to be counted", storage.parts(key)).await
}

async fn read(storage: &dyn ObjectStorage, key: &ObjectKey) -> Option<Vec<u8>> {
    let object = ok("an object to be opened", storage.get(key)).await?;
    let bytes = object.bytes;
    let content = ok("an object to be read", object.read_all(64 * 1024 * 1024)).await;
    assert_eq!(bytes, content.len() as u64, "the size that was announced");
    Some(content)
}

/// Parts come in any order; the object has them in the order of their numbers.
pub async fn an_object_is_its_parts_in_the_order_of_their_numbers<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.csv");
    // Ten and more: numbers are compared as numbers.
    for part in [11, 2, 1, 10, 9, 3, 4, 5, 8, 7, 6] {
        put(&*storage, &key, part, format!("{part},").as_bytes()).await;
    }
    assert_eq!(complete(&*storage, &key, 11).await, 24);
    assert_eq!(
        read(&*storage, &key).await.as_deref(),
        Some(b"1,2,3,4,5,6,7,8,9,10,11,".as_slice())
    );
    assert_eq!(parts(&*storage, &key).await, 0, "parts are forgotten");
}

/// Parts are no object.
pub async fn nobody_sees_an_object_before_it_is_complete<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.csv");
    assert_eq!(read(&*storage, &key).await, None);
    put(&*storage, &key, 1, b"a").await;
    assert_eq!(read(&*storage, &key).await, None);
    complete(&*storage, &key, 1).await;
    assert_eq!(read(&*storage, &key).await.as_deref(), Some(b"a".as_slice()));
}

/// Whoever takes over finds how many parts there are, and goes on behind them.
pub async fn an_upload_goes_on_in_another_process_after_the_parts_that_are_kept<P: ObjectStorageProvider>(
    provider: &P,
) {
    let key = key("1.csv");
    put(&*provider.storage(), &key, 1, b"a").await;
    put(&*provider.storage(), &key, 2, b"b").await;
    put(&*provider.storage(), &key, 4, b"d").await;
    let next = provider.storage();
    assert_eq!(parts(&*next, &key).await, 2, "parts behind a gap do not count");
    put(&*next, &key, 3, b"c").await;
    assert_eq!(parts(&*next, &key).await, 4);
    complete(&*next, &key, 4).await;
    assert_eq!(
        read(&*provider.storage(), &key).await.as_deref(),
        Some(b"abcd".as_slice())
    );
}

/// A step that is tried again puts the same numbers again, perhaps with other content.
pub async fn a_part_put_again_replaces_itself<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.csv");
    put(&*storage, &key, 1, b"longer than the second time").await;
    put(&*storage, &key, 2, b"b").await;
    put(&*storage, &key, 1, b"a").await;
    assert_eq!(parts(&*storage, &key).await, 2);
    assert_eq!(complete(&*storage, &key, 2).await, 2);
    assert_eq!(read(&*storage, &key).await.as_deref(), Some(b"ab".as_slice()));
}

/// The reply of a completion may be lost, and a process may die after the object and before its parts are removed.
pub async fn a_repeated_completion_finds_what_it_made<P: ObjectStorageProvider>(provider: &P) {
    let key = key("1.csv");
    put(&*provider.storage(), &key, 1, b"a").await;
    put(&*provider.storage(), &key, 2, b"b").await;
    assert_eq!(complete(&*provider.storage(), &key, 2).await, 2);
    assert_eq!(complete(&*provider.storage(), &key, 2).await, 2);
    // What is left over when not all parts were removed.
    put(&*provider.storage(), &key, 2, b"b").await;
    assert_eq!(complete(&*provider.storage(), &key, 2).await, 2);
    assert_eq!(
        read(&*provider.storage(), &key).await.as_deref(),
        Some(b"ab".as_slice())
    );
    put(&*provider.storage(), &key, 1, b"a").await;
    let left = parts(&*provider.storage(), &key).await;
    assert_eq!(
        left, 1,
        "a completion that finds the object forgets what is left of its parts"
    );
}

/// An object with a hole is never made.
pub async fn a_completion_without_all_parts_is_refused_and_leaves_them<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.csv");
    put(&*storage, &key, 1, b"a").await;
    put(&*storage, &key, 3, b"c").await;
    let refused = soon("a completion to be refused", storage.complete(&key, 3)).await;
    assert_eq!(refused, Err(ObjectStorageError::PartMissing { number: 2 }));
    assert_eq!(read(&*storage, &key).await, None);
    put(&*storage, &key, 2, b"b").await;
    assert_eq!(complete(&*storage, &key, 3).await, 3);
}

/// Parts of an attempt that went further are no part of the object, and do not stay.
pub async fn a_completion_takes_no_more_parts_than_it_says<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.csv");
    for part in 1..=3 {
        put(&*storage, &key, part, b"x").await;
    }
    assert_eq!(complete(&*storage, &key, 2).await, 2);
    put(&*storage, &key, 1, b"x").await;
    put(&*storage, &key, 2, b"x").await;
    assert_eq!(parts(&*storage, &key).await, 2, "the third one is gone");
    for (part, content) in [(17, b"b"), (18, b"c"), (3, b"x")] {
        put(&*storage, &key, part, content).await;
    }
    let named = [1, 17, 18].map(number);
    put(&*storage, &key, 1, b"a").await;
    ok("the object to be removed", storage.delete(&key)).await;
    assert_eq!(
        ok("named parts to be put together", storage.complete_of(&key, &named)).await,
        3
    );
    assert_eq!(read(&*storage, &key).await.as_deref(), Some(b"abc".as_slice()));
    assert_eq!(
        parts(&*storage, &key).await,
        0,
        "nor does a part stay that was not named"
    );
    ok("the object to be removed", storage.delete(&key)).await;
    put(&*storage, &key, 1, b"a").await;
    let refused = soon("a completion to be refused", storage.complete_of(&key, &named)).await;
    assert_eq!(refused, Err(ObjectStorageError::PartMissing { number: 17 }));
}

/// A cancelled upload leaves no part, and cancelling again is no error.
pub async fn an_aborted_upload_leaves_nothing<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let (key, other) = (key("1.csv"), key("1.csv.more"));
    put(&*storage, &key, 1, b"a").await;
    put(&*storage, &key, 2, b"b").await;
    put(&*storage, &other, 1, b"c").await;
    ok("an upload to be aborted", provider.storage().abort(&key)).await;
    ok("an upload to be aborted again", storage.abort(&key)).await;
    assert_eq!(parts(&*storage, &key).await, 0);
    assert_eq!(read(&*storage, &key).await, None);
    let refused = soon("a completion to be refused", storage.complete(&key, 2)).await;
    assert_eq!(refused, Err(ObjectStorageError::PartMissing { number: 1 }));
    assert_eq!(parts(&*storage, &other).await, 1, "another upload is not touched");
}

/// No parts make an empty object.
pub async fn an_object_without_parts_is_empty<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.csv");
    assert_eq!(complete(&*storage, &key, 0).await, 0);
    assert_eq!(read(&*storage, &key).await.as_deref(), Some(b"".as_slice()));
}

/// Deleting is safe to repeat, and its key can be used again.
pub async fn a_deleted_object_is_gone_and_deleting_it_again_is_no_error<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.csv");
    ok("nothing to be deleted", storage.delete(&key)).await;
    put(&*storage, &key, 1, b"a").await;
    complete(&*storage, &key, 1).await;
    ok("an object to be deleted", storage.delete(&key)).await;
    ok("an object to be deleted again", storage.delete(&key)).await;
    assert_eq!(read(&*storage, &key).await, None);
    put(&*storage, &key, 1, b"new").await;
    complete(&*storage, &key, 1).await;
    assert_eq!(read(&*storage, &key).await.as_deref(), Some(b"new".as_slice()));
}

/// The tenant is a part of the key, whatever its ids look like.
pub async fn objects_of_different_tenants_with_one_name_do_not_meet<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let tenant = |organization: &str, project: &str| {
        Tenant::project(
            aftercommit_domain::contract::OrganizationId::new(organization).expect("an id"),
            aftercommit_domain::contract::ProjectId::new(project).expect("an id"),
        )
    };
    let tenants = [
        tenant("a", "b"),
        tenant("A", "b"),
        tenant("a/b", "b"),
        tenant("..", "."),
        tenant("_", "_"),
        tenant("\u{fc}%2F", "b"),
        Tenant::organization(1_i64),
        Tenant::System,
    ];
    let keys = tenants
        .iter()
        .map(|tenant| ObjectKey::new(tenant, "exports", "1.csv").expect("a key"));
    let keys: Vec<ObjectKey> = keys.collect();
    for (index, key) in keys.iter().enumerate() {
        put(&*storage, key, 1, format!("of {index}").as_bytes()).await;
    }
    for key in &keys {
        complete(&*storage, key, 1).await;
    }
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(read(&*storage, key).await, Some(format!("of {index}").into_bytes()));
    }
}

/// Sizes are bounded before anything is kept.
pub async fn a_part_over_the_limit_is_refused_and_not_kept<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.csv");
    let bytes = MAX_PART_BYTES + 1;
    let refused = soon(
        "a part to be refused",
        storage.put_part(&key, PartNumber::FIRST, vec![0; bytes]),
    )
    .await;
    assert_eq!(refused, Err(ObjectStorageError::PartTooLarge { bytes }));
    assert_eq!(parts(&*storage, &key).await, 0);
    for wrong in [0, MAX_PARTS + 1] {
        assert_eq!(
            PartNumber::new(wrong),
            Err(ObjectStorageError::NoSuchPart { number: wrong })
        );
    }
}

/// Neither completing nor reading holds more than a few parts in memory; here only the pieces are seen.
pub async fn a_large_object_is_read_in_pieces<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.bin");
    let part = |number: u8| vec![number; MAX_PART_BYTES];
    put(&*storage, &key, 1, &part(1)).await;
    put(&*storage, &key, 2, &part(2)).await;
    put(&*storage, &key, 3, b"end").await;
    let bytes = 2 * MAX_PART_BYTES as u64 + 3;
    assert_eq!(complete(&*storage, &key, 3).await, bytes);
    let object = ok("an object to be opened", storage.get(&key)).await;
    let mut object = object.expect("an object");
    assert_eq!(object.bytes, bytes);
    let mut whole = Vec::new();
    while let Some(piece) = ok("a piece to be read", object.content.next()).await {
        assert!(!piece.is_empty() && piece.len() <= MAX_PART_BYTES);
        whole.extend_from_slice(&piece);
    }
    assert!(
        whole == [part(1), part(2), b"end".to_vec()].concat(),
        "the content is that of the parts"
    );
    let object = ok("an object to be opened", storage.get(&key)).await;
    let limited = soon("too much to be refused", object.expect("an object").read_all(1_000)).await;
    assert_eq!(limited, Err(ObjectStorageError::LargerThan { limit: 1_000 }));
}

/// Uploads under different keys go on at the same time.
pub async fn concurrent_uploads_do_not_mix<P: ObjectStorageProvider>(provider: &P) {
    let upload = |index: u8| {
        let storage = provider.storage();
        async move {
            let key = key(&format!("{index}.csv"));
            for part in 1..=5 {
                put(&*storage, &key, part, &[index]).await;
            }
            complete(&*storage, &key, 5).await;
            read(&*storage, &key).await
        }
    };
    let read = futures::future::join_all((0..8).map(upload)).await;
    for (index, content) in (0..8).zip(read) {
        assert_eq!(content, Some(vec![index; 5]));
    }
}

/// A link says when it ends, and no link is valid for longer than the limit.
pub async fn a_link_ends_when_it_was_told_to<P: ObjectStorageProvider>(provider: &P) {
    let storage = provider.storage();
    let key = key("1.csv");
    let before = provider.now();
    let link = ok("a link", storage.download_link(&key, hours(1))).await;
    // A storage may count whole seconds.
    let valid_for = link.expires_at - before;
    assert!(
        valid_for.num_seconds() >= 3_599 && valid_for.num_seconds() <= 3_601,
        "{valid_for}"
    );
    assert!(link.url.path().ends_with("/exports/1.csv"), "the link names the object");
    assert!(!format!("{link:?}").contains("csv"), "a log shows no link");
    let too_long = LONGEST_DOWNLOAD_LINK + Duration::from_secs(1);
    let refused = soon("a link to be refused", storage.download_link(&key, too_long)).await;
    assert_eq!(refused, Err(ObjectStorageError::LinkTooLong));
}
