// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is compiled with: the Swift 6 language mode comes with the tools version.
let sharedSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
    // Debug builds, which the tests are, check at run time that nobody touches a property in the middle of its change. On a
    // worker's path those checks took a twentieth of the harness's processor time, and that time is the database's loss.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

let settings = sharedSettings + [.enableUpcomingFeature("MemberImportVisibility")]

/// Both <spawn.h> and glibc's own module declare timeval, sched_param and others, and which of the two the compiler takes for
/// their owner depends on which it happened to read first: so a target that imports both must not be asked for the owner.
let spawningSettings = sharedSettings

/// The two wrappers around C handles mark every unsafe call.
let wrapperSettings = settings + [.strictMemorySafety()]

/// Property tests go through thousands of cases, so what they spend their time in is optimized in debug builds, too.
/// Everything that `precondition` guards stays guarded.
let quick = settings + [.unsafeFlags(["-O"], .when(configuration: .debug))]

/// Each stage embeds the SQL of its folder, so that the binary needs no file beside it.
func stage(_ name: String, sql files: [String], dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name,
        dependencies: ["Diagnostics", "Measurement", "Model", "Postgres", "Threads"] + dependencies,
        resources: files.map { .embedInCode("sql/\($0).sql") },
        swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

let package = Package(
    name: "allocbench",
    products: [.executable(name: "allocbench", targets: ["allocbench"])],
    targets: [
        // C libraries, from Debian's packages.
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CRDKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // What Swift's importer doesn't see of glibc; headers without a library.
        .systemLibrary(name: "CSpawn"),
        .systemLibrary(name: "CEpoll"),
        // Counts what a benchmark asks of malloc and of locks; only for programs that measure this.
        .target(name: "CCounters"),
        .target(name: "CEnvelope", linkerSettings: [.linkedLibrary("simdjson")]),

        // The base: no knowledge of the domain.
        .target(name: "Diagnostics", swiftSettings: settings),
        .target(name: "Digits", swiftSettings: quick),
        .target(name: "CSV", dependencies: ["Diagnostics"], swiftSettings: settings),
        .target(name: "Threads", swiftSettings: settings),
        .target(name: "Measurement", dependencies: ["CZlib", "Diagnostics"], swiftSettings: settings),
        // What figures of several repetitions show: values without clock, file or randomness of their own.
        .target(name: "Statistics", dependencies: ["Measurement"], swiftSettings: quick),
        .target(
            name: "Postgres", dependencies: ["CLibPQ", "Diagnostics", "Digits", "Threads"],
            resources: [.embedInCode("sql/server.sql")], swiftSettings: wrapperSettings),
        .target(name: "Kafka", dependencies: ["CRDKafka", "Diagnostics", "Threads"], swiftSettings: wrapperSettings),
        .target(
            name: "Services",
            dependencies: ["CEpoll", "CSpawn", "Diagnostics", "Kafka", "Measurement", "Postgres", "Threads"],
            swiftSettings: spawningSettings),

        // The domain: the shared vocabulary, then one module per stage; stages never import each other.
        .target(name: "Model", dependencies: ["CEnvelope", "Diagnostics", "Digits"], swiftSettings: quick),
        stage("Reference", sql: ["schema", "drop", "store"], dependencies: ["CSV"]),
        stage("Market", sql: ["schema", "drop", "store"], dependencies: ["CSV"]),
        stage("Holdings", sql: ["schema", "drop", "store", "book"]),
        .target(
            name: "Seeding",
            dependencies: [
                "CSV", "Diagnostics", "Measurement", "Model", "Postgres", "Threads", "Reference", "Market", "Holdings",
                "Orders",
            ],
            swiftSettings: settings),
        stage("Orders", sql: ["schema", "drop", "store", "open", "route", "close", "verify"]),
        stage("Trades", sql: ["schema", "drop", "execute"]),
        stage(
            "Allocations",
            sql: ["schema", "drop", "prepare", "fill", "row", "keys", "book", "verify", "final"],
            dependencies: ["Kafka"]),
        // What completed blocks lead to, in one transaction over two stages' schemas.
        .target(
            name: "Booking",
            dependencies: ["Allocations", "Diagnostics", "Holdings", "Measurement", "Model", "Postgres", "Threads"],
            swiftSettings: settings),
        .target(
            name: "ChangeFeed",
            dependencies: ["Diagnostics", "Kafka", "Measurement", "Model", "Postgres", "Threads"],
            swiftSettings: settings),

        .target(
            name: "Routing",
            dependencies: ["Diagnostics", "Kafka", "Measurement", "Model", "Orders", "Postgres", "Threads"],
            swiftSettings: settings),

        // Where a runner and its worker hosts meet: a schema of its own, above the stages.
        .target(
            name: "Hosts",
            dependencies: ["Allocations", "Booking", "Diagnostics", "Measurement", "Postgres", "Threads"],
            resources: ["schema", "drop", "hosts"].map { .embedInCode("sql/\($0).sql") },
            swiftSettings: settings),

        // The harness. The oracle imports nothing, so that it can't repeat a mistake of what it judges.
        .target(name: "Oracle", swiftSettings: quick),
        .target(
            name: "Report", dependencies: ["CSV", "Diagnostics", "Measurement", "Model", "Statistics"],
            swiftSettings: settings),
        .target(
            name: "Scenario",
            dependencies: [
                "CYAML", "Diagnostics", "Measurement", "Model", "Postgres", "Kafka", "Services", "Threads",
                "Reference", "Market", "Holdings", "Seeding", "Orders", "Oracle", "Trades", "Allocations", "ChangeFeed",
                "Report", "Routing", "Booking", "Statistics", "Hosts",
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "allocbench",
            dependencies: [
                "Diagnostics", "Measurement", "Model", "Postgres", "Kafka", "Services", "Threads",
                "Reference", "Market", "Holdings", "Seeding", "Orders", "Trades", "Allocations", "ChangeFeed",
                "Booking", "CSV", "Report", "Routing", "Scenario", "Hosts",
            ],
            swiftSettings: settings),
        // What the parts of the harness's own path cost, each alone; see `make bench`.
        .executableTarget(
            name: "allocbench-micro",
            dependencies: [
                "Allocations", "CCounters", "ChangeFeed", "CSV", "Diagnostics", "Kafka", "Market", "Measurement",
                "Model",
                "Orders", "Postgres", "Report", "Services", "Threads",
            ],
            path: "Sources/AllocBenchMicro",
            swiftSettings: settings),
        // Paths of ours beside what a user would pick instead; see `make peers`.
        .executableTarget(
            name: "allocbench-peers",
            dependencies: [
                "Diagnostics", "Measurement", "Model", "Postgres", "Kafka", "Services", "Threads",
                "Reference", "Market", "Holdings", "Seeding", "Orders", "Trades", "Allocations", "ChangeFeed",
                "Booking", "CSV", "Report", "Scenario", "Statistics",
            ],
            path: "Sources/AllocBenchPeers",
            swiftSettings: settings),

        // Tests.
        .target(
            name: "TestSupport",
            dependencies: ["Diagnostics", "Kafka", "Measurement", "Model", "Postgres", "Services", "Threads"],
            path: "Tests/TestSupport", swiftSettings: settings),
        tests("DiagnosticsTests", ["Diagnostics"]),
        tests("MeasurementTests", ["Measurement", "Diagnostics", "Services", "TestSupport"]),
        tests("StatisticsTests", ["Statistics", "Measurement"]),
        tests(
            "PeersTests",
            ["allocbench-peers", "Allocations", "Diagnostics", "Model", "Report", "Statistics", "Threads"]),
        tests("PostgresTests", ["Postgres", "TestSupport", "Threads"]),
        tests("KafkaTests", ["Kafka", "Diagnostics", "Measurement", "Services", "TestSupport", "Threads"]),
        tests(
            "ServicesTests",
            ["Services", "Diagnostics", "Kafka", "Measurement", "Postgres", "TestSupport", "Threads"]),
        tests("ModelTests", ["Model", "Diagnostics", "Digits", "Measurement", "TestSupport", "allocbench-micro"]),
        tests(
            "SeedingTests",
            [
                "Reference", "Market", "Holdings", "Orders", "Seeding", "CSV", "Diagnostics", "Measurement", "Model",
                "Postgres", "TestSupport", "Threads",
            ]),
        tests(
            "StageTests",
            [
                "Orders", "Holdings", "Booking", "Trades", "Allocations", "ChangeFeed", "Diagnostics", "Kafka",
                "Measurement", "Model", "Postgres", "Report", "Routing", "Scenario", "Seeding", "Services",
                "TestSupport", "Threads", "allocbench-micro",
            ]),
        tests(
            "HostsTests",
            [
                "Hosts", "Allocations", "Booking", "Diagnostics", "Measurement", "Postgres", "TestSupport", "Threads",
            ]),
        tests(
            "BookingTests",
            [
                "Allocations", "Booking", "Diagnostics", "Holdings", "Measurement", "Model", "Postgres", "TestSupport",
                "Threads",
            ]),
        .testTarget(
            name: "PropertyTests",
            dependencies: ["Allocations", "Measurement", "Model", "Oracle", "TestSupport", "Trades"],
            swiftSettings: quick),
        tests("ReportTests", ["Report", "Diagnostics", "Measurement", "Model", "Statistics"]),
        tests(
            "ScenarioTests",
            [
                "Scenario", "Allocations", "Diagnostics", "Kafka", "Measurement", "Model", "Postgres", "Report",
                "Services",
                "Statistics",
                "TestSupport",
            ]),
        tests(
            "IntegrationTests",
            [
                "Scenario", "Services", "Diagnostics", "Kafka", "Measurement", "Model", "Postgres", "TestSupport",
                "Threads",
            ]),
    ],
    cxxLanguageStandard: .cxx17
)
