//! Addresses that take no connection in time.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    fake::{Fake, completion},
    world::{World, chat, header, model},
};

/// A listener that accepts nobody, and those who wait for it: there is no room for more.
async fn full() -> (String, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 64, "there is always room");
    }
    (format!("http://{address}"), listener, waiting)
}

#[tokio::test]
async fn an_address_that_takes_no_connection_in_time_is_unreachable_and_the_next_route_answers() {
    let (address, _listener, _waiting) = full().await;
    let alone = World::start(vec![model("a", &address)], json!([{"model": "a"}])).await;
    let response = alone.call(&chat(json!({}))).send().await.unwrap();
    let told: Value = response.json().await.unwrap();
    let attempt = &told["error"]["attempts"][0];
    assert_eq!(attempt["outcome"], "unreachable", "{told}");
    assert!(
        told.to_string().contains("no connection within 2s"),
        "{told}"
    );
    let fake = Fake::start(vec![completion("Hello.", Some((9, 3)))]).await;
    let models = vec![model("a", &address), model("b", &fake.address)];
    let world = World::start(models, json!([{"model": "a"}, {"model": "b"}])).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "aios-model"), "b");
    assert_eq!(header(&response, "aios-attempts"), "2");
}
