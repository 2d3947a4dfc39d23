// SPDX-License-Identifier: MIT
struct ServerProcess { var configuration: ServerConfiguration; var log: ServerLog
 func run() async -> ExitStatus { .success } }
enum Preflight { 
    struct Findings { var problems: [String] = []; var notices: [String] = [] }
    static func findings(in environment: Environment) async -> Findings { Findings() } }
