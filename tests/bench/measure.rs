//! The figures, each as a ratio to another measurement of the same run.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use lychgate::audit::log::key::Key;
use lychgate::audit::log::receipt::Receipt;

use super::disk::append_and_sync;
use super::gateway::{Setup, free_port, wait_for};
use super::process::{Load, Process, load};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
/// The gateway's thread that writes tiles and checkpoints.
const PUBLISHER: &str = "audit-publisher";

/// Microseconds of CPU time per request, and the results of the load.
fn cpu_per_request(process: &Process, run: impl Fn(Duration) -> Load) -> (f64, Load) {
    run(Duration::from_millis(500));
    let before = process.cpu();
    let seen = run(ROUND);
    let spent = process.cpu() - before;
    (spent.as_secs_f64() * 1e6 / seen.answered, seen)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time of a GET with 1,000 warm ES256 tokens, compared with a bare hyper proxy and, if a
/// command is given, one more proxy, which gets `--listen ADDRESS --upstream ADDRESS`. All share
/// one core. On two cores, a proxy that lets the other core sleep would pay for waking it, and
/// another proxy would not.
pub(crate) fn reads(beside: &[&str]) {
    let setup = Setup::new();
    let _upstream = setup.start_upstream(0);
    let mut proxies = vec![
        Proxy::new("gateway", &setup.address, setup.start()),
        Proxy::bare(&setup.upstream),
    ];
    if !beside.is_empty() {
        proxies.push(Proxy::beside(beside, &setup.upstream));
    }
    let tokens = setup.tokens();
    for round in 0..ROUNDS {
        // Each round begins with another proxy, so that a disturbance of the machine affects all
        // alike.
        for turn in 0..proxies.len() {
            let at = (round + turn) % proxies.len();
            let proxy = &mut proxies[at];
            let (cpu, seen) = cpu_per_request(&proxy.process, |time| {
                load(0, &proxy.address, 64, time, "GET", &tokens)
            });
            assert_eq!(seen.other, 0, "every GET is answered 200");
            proxy.cpus.push(cpu);
        }
    }
    let floors = proxies[1].cpus.clone();
    println!("GET, warm ES256 tokens, 64 connections, us CPU a request:");
    for proxy in &mut proxies {
        let mut ratios: Vec<f64> = proxy.cpus.iter().zip(&floors).map(|(a, b)| a / b).collect();
        println!(
            "  {}: {:.1} (least {:.1}), {:.2} times the bare hyper proxy",
            proxy.name,
            median(&mut proxy.cpus),
            proxy.cpus[0],
            median(&mut ratios)
        );
    }
}

/// A measured proxy.
struct Proxy {
    name: String,
    address: String,
    process: Process,
    cpus: Vec<f64>,
}

impl Proxy {
    fn new(name: &str, address: &str, process: Process) -> Self {
        wait_for(address);
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            process,
            cpus: Vec::new(),
        }
    }

    fn bare(upstream: &str) -> Self {
        let address = free_port().to_string();
        let process = Process::role(0, &["bare", &address, upstream]);
        Self::new("bare hyper proxy", &address, process)
    }

    fn beside(command: &[&str], upstream: &str) -> Self {
        let address = free_port().to_string();
        let arguments = ["--listen", &address, "--upstream", upstream];
        let process = Process::start("0", &[command, &arguments].concat());
        Self::new(command[0], &address, process)
    }
}

/// Durable deletions per second, compared with the disk's rate for one stream: with the gateway on
/// one core, and on both cores together with load and upstream.
pub(crate) fn deletions() {
    // Both folders stay until the end: when ext4 creates a file, it checks every inode that was
    // freed in the last minutes, so a removal of thousands of files would slow down the next
    // gateway.
    let setups = ["0", "0,1"].map(|cores| (cores, Setup::new()));
    for (cores, setup) in &setups {
        let _upstream = setup.start_upstream(1);
        let gateway = setup.start_on(cores);
        let warm_up = Duration::from_millis(500);
        load(1, &setup.address, 8, warm_up, "DELETE", &setup.tokens());
        for connections in [1, 64] {
            deletions_at(setup, &gateway, cores, connections);
        }
    }
    println!("a receipt's signature: {:.1} us CPU", signature());
}

/// Microseconds for one receipt.
fn signature() -> f64 {
    const RECEIPTS: u32 = 5_000;
    let key = Key::generate("bench.test/log").expect("a key");
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for index in 0..RECEIPTS {
                black_box(Receipt::sign(&key, u64::from(index), &[7; 32]));
            }
            begun.elapsed().as_secs_f64() * 1e6 / f64::from(RECEIPTS)
        })
        .collect();
    median(&mut rounds)
}

fn deletions_at(setup: &Setup, gateway: &Process, cores: &str, connections: usize) {
    let tokens = setup.tokens();
    let (mut rates, mut ratios, mut latencies, mut cpus) = (vec![], vec![], vec![], vec![]);
    let published = gateway.cpu_of(PUBLISHER);
    let all = gateway.cpu();
    for _ in 0..ROUNDS {
        let disk = append_and_sync(&setup.folder, Duration::from_secs(1));
        let (cpu, seen) = cpu_per_request(gateway, |time| {
            load(1, &setup.address, connections, time, "DELETE", &tokens)
        });
        assert_eq!(seen.other, 0, "every DELETE is answered 200");
        let rate = seen.answered / seen.seconds;
        rates.push(rate);
        ratios.push(rate / disk.per_second);
        latencies.push(seen.median / disk.median.as_secs_f64());
        cpus.push(cpu);
    }
    let published = gateway.cpu_of(PUBLISHER) - published;
    let all = gateway.cpu() - all;
    println!(
        "DELETE, two syncs, {connections} connections, gateway on core {cores}: {:.0} a second, \
         {:.1} times the disk's append + fdatasync; p50 {:.1} times one; {:.1} us CPU, \
         of it tiles and checkpoints {:.0} %",
        median(&mut rates),
        median(&mut ratios),
        median(&mut latencies),
        median(&mut cpus),
        published.as_secs_f64() / all.as_secs_f64() * 100.0
    );
}

/// Resident memory with 1,000 idle connections.
pub(crate) fn memory() {
    let setup = Setup::new();
    let _upstream = setup.start_upstream(1);
    let gateway = setup.start();
    let token = std::fs::read_to_string(setup.tokens()).expect("tokens");
    let token = token.lines().next().expect("a token");
    std::thread::sleep(Duration::from_millis(500));
    let idle = gateway.resident_kib();
    let mut connections = Vec::new();
    for _ in 0..1_000 {
        let mut stream = TcpStream::connect(&setup.address).expect("a connection");
        assert!(get(&mut stream, token).starts_with("HTTP/1.1 200"));
        connections.push(stream);
    }
    println!(
        "resident memory: {:.1} MiB idle, {:.1} MiB with {} idle connections",
        idle as f64 / 1024.0,
        gateway.resident_kib() as f64 / 1024.0,
        connections.len()
    );
}

/// The time from the start of the process to the first answered GET, with an existing audit folder.
pub(crate) fn start() {
    let setup = Setup::new();
    let _upstream = setup.start_upstream(1);
    let token = std::fs::read_to_string(setup.tokens()).expect("tokens");
    let token = token.lines().next().expect("a token");
    drop(setup.start());
    let mut milliseconds = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let gateway = setup.start();
        let mut stream = TcpStream::connect(&setup.address).expect("a connection");
        let answer = get(&mut stream, token);
        milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        drop(gateway);
    }
    println!(
        "start to first answered GET: {:.1} ms",
        median(&mut milliseconds)
    );
}

fn get(stream: &mut TcpStream, token: &str) -> String {
    let request = format!(
        "GET /api/account/12345678/configuration/le-users/users/700100042?v=4.0 HTTP/1.1\r\n\
         Host: gateway.test\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut buffer = [0; 4096];
    let mut text = String::new();
    while !text.ends_with('}') {
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the answer was cut short: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    text
}
