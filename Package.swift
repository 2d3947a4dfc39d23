// swift-tools-version: 6.2
import PackageDescription

/// What every target of ours is held to: Swift 6 language mode, strict memory safety, warnings as errors.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "api-key-rotator",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "RotatorCore", targets: ["RotatorCore"]),
        .library(name: "RotatorAdapters", targets: ["RotatorAdapters"]),
        .library(name: "RotatorStore", targets: ["RotatorStore"]),
        .library(name: "RotatorHTTP", targets: ["RotatorHTTP"]),
        .library(name: "RotatorTestKit", targets: ["RotatorTestKit"]),
        .executable(name: "rotator-server", targets: ["rotator-server"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.0"),
    ],
    targets: [
        .systemLibrary(name: "CCurl", path: "Sources/CImports/CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CHiredis", path: "Sources/CImports/CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CPostgreSQL", path: "Sources/CImports/CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CSQLite", path: "Sources/CImports/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CZlib", path: "Sources/CImports/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLinux", path: "Sources/CImports/CLinux"),

        // The console's files as constants: what a browser is given stands inside the binary.
        .target(name: "ConsoleAssets", exclude: ["web"]),

        .target(name: "RotatorCore", swiftSettings: strict),
        .target(name: "RotatorAdapters", dependencies: ["RotatorCore", "CZlib"], swiftSettings: strict),
        .target(
            name: "RotatorStore",
            dependencies: [
                "RotatorCore", "CHiredis", "CPostgreSQL", "CSQLite",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "RotatorHTTP",
            dependencies: [
                "RotatorCore", "ConsoleAssets", "CCurl", "CLinux", "CZlib",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "rotator-server",
            dependencies: [
                "RotatorCore", "RotatorAdapters", "RotatorStore", "RotatorHTTP", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(name: "RotatorTestKit", dependencies: ["RotatorCore", "RotatorStore"], path: "Tests/RotatorTestKit", swiftSettings: strict),
        .testTarget(name: "RotatorCoreTests", dependencies: ["RotatorCore", "RotatorTestKit"], swiftSettings: strict),
        .testTarget(name: "RotatorAdaptersTests", dependencies: ["RotatorAdapters", "RotatorTestKit"], swiftSettings: strict),
        .testTarget(name: "RotatorStoreTests", dependencies: ["RotatorStore", "RotatorTestKit"], swiftSettings: strict),
        .testTarget(name: "RotatorHTTPTests", dependencies: ["RotatorHTTP", "RotatorAdapters", "RotatorTestKit"], swiftSettings: strict),
        .testTarget(
            name: "RotatorServerTests",
            dependencies: [
                "rotator-server", "RotatorCore", "RotatorAdapters", "RotatorStore", "RotatorHTTP", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
    ],
    swiftLanguageModes: [.v6]
)
