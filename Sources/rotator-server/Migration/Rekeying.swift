// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

/// What `rotator-server rekey` does: seals every value of a store anew, batch by batch, until none is left under an older key.
struct Rekeying: Sendable {
    /// How many values are sealed anew in one transaction.
    static let batch = 500

    /// What the environment says.
    let configuration: ServerConfiguration
    /// Told in one line each what happens.
    let tell: @Sendable (String) -> Void
    /// Asked between two batches.
    let isInterrupted: @Sendable () -> Bool

    /// Runs until no value is left, a batch fails or it is interrupted. Can be run again after any end.
    func run() async -> ProcessExit {
        do throws(StartFailure) {
            let store = try await openStore()
            let status = await reseal(store)
            await store.close()
            return status
        } catch {
            tell(error.line)
            return error.status
        }
    }

    private func openStore() async throws(StartFailure) -> any Store {
        let keys: MasterKeyRing
        do throws(StoreError) {
            switch configuration.storeURL.place {
            case .sqliteInMemory: throw StoreError(.misconfigured, "a store in memory is sealed under a key of its own each time")
            case .sqlite(let path) where ConfigurationFile.byteCount(of: path) ?? 0 == 0: throw StoreError(.misconfigured, "there is no store at \(path)")
            case .sqlite, .postgreSQL, .redis: break
            }
            guard let existing = try MasterKeyRing.existing(in: configuration) else { preconditionFailure("a store that exists has its key or an error") }
            keys = existing
        } catch {
            throw StartFailure(error, of: configuration.storeVariable)
        }
        if keys.accepted.isEmpty { tell("note: \(Variables.encryptionKeysAccepted.name) is not set, so no older key is accepted") }
        do throws(StoreError) {
            let store = try await RotatorStore.openStore(configuration.storeURL, sealing: keys)
            do throws(StoreError) {
                try await store.migrate()
                return store
            } catch {
                await store.close()
                throw error
            }
        } catch where error.code == .locked {
            throw StartFailure(
                line: "\(configuration.storeVariable): \(error.message); it is sealed anew while its server is stopped: stop it, then run this again", status: .failure)
        } catch {
            throw StartFailure(error, of: configuration.storeVariable)
        }
    }

    private func reseal(_ store: any Store) async -> ProcessExit {
        var count = 0
        do throws(StoreError) {
            while true {
                let batch = try await store.reseal(limit: Self.batch)
                count += batch
                if batch == 0 {
                    tell("\(count) values sealed anew, none left")
                    return .success
                }
                tell("\(count) values sealed anew")
                if isInterrupted() {
                    tell("interrupted after \(count) values: until this has been run to its end, leave \(Variables.encryptionKeysAccepted.name) as it is")
                    return .failure
                }
            }
        } catch {
            let failure = StartFailure(error, of: configuration.storeVariable)
            tell("\(failure.line); \(count) values were sealed anew before")
            return failure.status
        }
    }
}
