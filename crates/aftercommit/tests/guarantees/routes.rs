//! The table of what follows from what.

use crate::place::Place;

#[tokio::test]
async fn the_routes_are_listed_with_their_contracts() {
    let place = Place::new().open().await;
    let routes = place.api.get("/admin/v1/routes").await.json(200);
    insta::assert_json_snapshot!("routes", routes);
    place.close().await;
}
