// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

/// What `migrate --from` names.
enum SourceLocation: Sendable, Hashable, CustomStringConvertible {
    /// A store of ours.
    case store(StoreURL)
    /// The SQLite file of the original Go service.
    case goServiceDatabase(path: String)
    /// A text that mysqldump wrote of the original Go service's database.
    case mySQLDump(path: String)
    /// Keys as gpt-load exports them, one a line.
    case keyList(path: String)

    /// Reads a location and looks whose the file is that it names.
    init(_ text: String) throws(StoreError) {
        for (scheme, make) in [("mysql-dump:", Self.mySQLDump(path:)), ("gpt-load:", Self.keyList(path:))] where text.lowercased().hasPrefix(scheme) {
            let path = String(text.dropFirst(scheme.count))
            guard ConfigurationFile.byteCount(of: path) != nil else { throw StoreError(.misconfigured, "there is no file \(path)") }
            self = make(path)
            return
        }
        let url: StoreURL
        do throws(StoreError) {
            url = try StoreURL(text)
        } catch {
            throw StoreError(.misconfigured, error.message + "; to be read from, mysql-dump:FILE and gpt-load:FILE as well")
        }
        switch url.place {
        case .sqliteInMemory: throw StoreError(.misconfigured, "there is nothing in a store in memory that could be moved")
        case .sqlite(let path):
            // Opening would make one.
            guard ConfigurationFile.byteCount(of: path) ?? 0 > 0 else { throw StoreError(.misconfigured, "there is no store at \(path)") }
            self = GoServiceDatabase.isThere(at: path) ? .goServiceDatabase(path: path) : .store(url)
        case .postgreSQL, .redis: self = .store(url)
        }
    }

    var description: String {
        switch self {
        case .store(let url): "\(url)"
        case .goServiceDatabase(let path): "\(path), a database of the Go service"
        case .mySQLDump(let path): "\(path), a dump of the Go service's database"
        case .keyList(let path): "\(path), a list of keys"
        }
    }
}
