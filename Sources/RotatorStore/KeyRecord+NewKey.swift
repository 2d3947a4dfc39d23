// SPDX-License-Identifier: MIT

internal import RotatorCore

extension KeyRecord {
    /// A key that has been added under a number.
    init(id: KeyID, serviceID: ServiceID, _ key: NewKey) {
        self.init(id: id, serviceID: serviceID, secret: key.secret, name: key.name, weight: key.weight, isActive: key.isActive, attributes: key.attributes)
    }
}
