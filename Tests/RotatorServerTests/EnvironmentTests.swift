// SPDX-License-Identifier: MIT

import Testing

@testable import rotator_server

@Suite("Environment") struct EnvironmentTests {
    @Test func `real variables win over the .env file`() {
        let environment = Environment(variables: ["A": "real"], dotEnv: DotEnvFile("A=file\nB=file\n", path: ".env"))
        #expect(environment.value("A") == "real")
        #expect(environment.value("B") == "file")
        #expect(environment.value("C") == nil)
    }

    @Test func `an empty real variable leaves the .env file's in force`() {
        let environment = Environment(variables: ["A": ""], dotEnv: DotEnvFile("A=file", path: ".env"))
        #expect(environment.value("A") == "file")
    }

    @Test func `a real upper-case proxy wins over a lower-case one of the .env file`() {
        let environment = Environment(variables: ["HTTP_PROXY": "real"], dotEnv: DotEnvFile("http_proxy=file", path: ".env"))
        #expect(environment.value("HTTP_PROXY") == "real")
    }

    @Test func `names are told apart by case but for the proxies`() {
        #expect(Environment(variables: ["backend_port": "1"]).value("BACKEND_PORT") == nil)
    }
}

@Suite(".env file") struct DotEnvFileTests {
    @Test(arguments: [
        ("A=b", "b"), ("A = b ", "b"), ("export A=b", "b"), ("A=b=c", "b=c"), ("A=b # comment", "b"), ("A=b#c", "b#c"), ("A='b # c'", "b # c"),
        (#"A="b\n\"c\"\\ \$d \x" # comment"#, "b\n\"c\"\\ $d \\x"), ("A='b\\n'", "b\\n"), ("A=", ""), ("A=\"\"", ""), ("\u{FEFF}A=b", "b"), ("A=1\r\nB=2\r\n", "1"),
        ("A=1\nA=2", "2"), ("  # A=1\nA=2", "2"), ("A=# nothing", ""),
    ])
    func `a line gives its value`(_ file: String, _ value: String) {
        let file = DotEnvFile(file, path: ".env")
        #expect(file.values["A"] == value)
        #expect(file.problems == [])
    }

    @Test(arguments: ["canary", "1A=canary", "A B=canary", "=canary", "A='canary", "A=\"canary", "A='b' canary"])
    func `a line that is none is a problem that names its number and not its text`(_ line: String) {
        let problems = DotEnvFile("# first\n\(line)\n", path: ".env").problems.map(\.description)
        #expect(problems.count == 1)
        #expect(problems.allSatisfy { $0.hasPrefix(".env line 2: ") && !$0.contains("canary") })
    }

    @Test func `its problems come with those of the variables`() {
        let environment = Environment(variables: [:], dotEnv: DotEnvFile("nonsense\nBACKEND_PORT=x", path: ".env"))
        do throws(ConfigurationProblems) {
            _ = try ServerConfiguration(reading: environment)
            Issue.record("both are wrong")
        } catch {
            #expect(error.problems.map(\.subject) == [".env line 1", "BACKEND_PORT"])
        }
    }
}
