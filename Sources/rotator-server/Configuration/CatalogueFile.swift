// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorAdapters
internal import RotatorCore
internal import RotatorHTTP
internal import RotatorStore

/// The catalogue document that `ROTATOR_CATALOGUE` names: what it says is so at each start.
struct CatalogueFile: Sendable {
    private let path: String
    private let document: CatalogueDocument
    private let mode: ImportMode

    /// As large as a file may be: some millions of keys.
    static let bytesMax = 1 << 30

    /// Reads and judges the document; nil where there is none. Takes as long as scrypt does where anything in it is sealed.
    static func read(_ configuration: ServerConfiguration) async throws(StartFailure) -> CatalogueFile? {
        guard let path = configuration.cataloguePath else { return nil }
        let octets: [UInt8]
        switch ConfigurationFile.read(path, bytesMax: bytesMax) {
        case .success(let read): octets = read
        case .failure(let failure): throw StartFailure(line: "\(Variables.catalogue.name): \(path) cannot be read: \(failure)", status: .configuration)
        }
        let adapters = AdapterRegistry.builtIn
        do throws(CatalogueFault) {
            let document = try await CatalogueDocument.reading(
                octets, passphrase: configuration.cataloguePassphrase, adapter: { adapters[$0] }, variables: configuration.variable)
            return CatalogueFile(path: path, document: document, mode: configuration.catalogueMode)
        } catch {
            let variable = error.isAboutPassphrase ? Variables.cataloguePassphrase.name : Variables.catalogue.name
            throw StartFailure(line: "\(variable): \(path): \(error)", status: .configuration)
        }
    }

    /// Makes the catalogue what the document says.
    func apply(to administration: Administration, storeVariable: String, logger: Logger) async throws(StartFailure) {
        do throws(AdministrationError) {
            let report = try await administration.importCatalogue(document, mode: mode, by: "system")
            logger.log(level: report.isEmpty ? .info : .notice, "the catalogue file has been read", metadata: ["path": "\(path)", "result": "\(report.summary)"])
        } catch {
            switch error {
            case .invalid(let member, let reason):
                throw StartFailure(line: "\(Variables.catalogue.name): \(path): “\(member)” \(reason)", status: .configuration)
            case .store(let reason): throw StartFailure(reason, of: storeVariable)
            default: throw StartFailure(line: "\(Variables.catalogue.name): \(path) cannot be taken over: \(error)", status: .failure)
            }
        }
    }
}
