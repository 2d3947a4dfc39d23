// SPDX-License-Identifier: MIT

internal import Dispatch
internal import Foundation

/// What cannot be done with a server, in its own words.
public struct ServerFailure: Error, CustomStringConvertible {
    /// What was said.
    public let description: String
}

/// A shell that keeps a server in a directory of its own: it carries out what is written to it line by line, and takes everything down at the end of
/// its input. That comes when nobody refers to the supervisor any more, and when the test's process ends, however that ends.
final class ServerSupervisor: Sendable {
    /// The server's directory, which goes with it.
    let directory: String
    private let name: String
    private let input: FileHandle
    private let output: FileHandle
    private let queue: DispatchQueue
    private let shell: Process

    /// Runs `script` with a new directory and `arguments`. For each line that it reads it must write one: `done`, or what is wrong.
    init(of name: String, directoryPrefix: String, script: String, arguments: [String]) throws {
        self.name = name
        // Short, because a socket's path has room for 107 octets.
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("\(directoryPrefix)-\(UInt32.random(in: 0 ... .max))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", script, "sh", directory] + arguments
        let input = Pipe()
        let output = Pipe()
        shell.standardInput = input
        shell.standardOutput = output
        self.input = input.fileHandleForWriting
        self.output = output.fileHandleForReading
        queue = DispatchQueue(label: name)
        try Self.withSignals { try shell.run() }
    }

    deinit { try? input.close() }

    /// What the server has logged, in `log`.
    var log: String { get throws { String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(directory)/log")), as: UTF8.self) } }

    /// A program is born with the signals that its maker's thread blocks, and threads of a pool block SIGCHLD: a shell would wait for its children for ever.
    private static func withSignals(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var before = sigset_t()
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    /// Has the shell carry out a line, and waits until it has.
    func tell(_ command: String) async throws {
        let answer: String = await withCheckedContinuation { continuation in
            queue.async { [input, output] in
                do { try input.write(contentsOf: Data("\(command)\n".utf8)) } catch { return continuation.resume(returning: "\(error)") }
                var answer = Data()
                while answer.last != 0x0A {
                    let octets = output.availableData
                    if octets.isEmpty { break }
                    answer += octets
                }
                continuation.resume(returning: String(decoding: answer, as: UTF8.self))
            }
        }
        guard answer == "done\n" else {
            throw ServerFailure(description: "\(name): \(command.prefix { $0 != " " }): \(answer)\((try? log) ?? "(is it installed?)")")
        }
    }

    /// Runs a client of the server's package to its end and returns what it prints.
    static func run(_ program: String, _ arguments: [String]) async throws -> String {
        let result: Result<String, any Error> = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: program)
                process.arguments = arguments
                let output = Pipe()
                let errors = Pipe()
                process.standardOutput = output
                process.standardError = errors
                do {
                    try withSignals { try process.run() }
                    let said = output.fileHandleForReading.readDataToEndOfFile()
                    let complaint = errors.fileHandleForReading.readDataToEndOfFile()
                    process.waitUntilExit()
                    guard process.terminationStatus == 0 else {
                        throw ServerFailure(description: "\(program): \(String(decoding: complaint, as: UTF8.self))")
                    }
                    continuation.resume(returning: .success(String(decoding: said, as: UTF8.self).trimmingCharacters(in: .newlines)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }
}
