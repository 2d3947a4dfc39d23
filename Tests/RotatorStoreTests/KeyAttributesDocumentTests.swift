// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorStore

@Suite("Key attributes document") struct KeyAttributesDocumentTests {
    @Test func `attributes that say nothing are an empty object`() {
        #expect(KeyAttributesDocument.encode(KeyAttributes()) == "{}")
        #expect(KeyAttributesDocument.decode("{}") == KeyAttributes())
    }

    @Test func `members of a later version are passed over, and those that an older document lacks say nothing`() {
        var expected = KeyAttributes()
        expected.limits.tokensPerDay = 5
        #expect(KeyAttributesDocument.decode(#"{"limits":{"tokens_per_day":5,"images_per_day":7},"colour":"red"}"#) == expected)
    }

    @Test(arguments: ["", "[]", "null", #"{"tags":"x"}"#, #"{"limits":{"tokens_per_day":"many"}}"#])
    func `a document that no version wrote is not guessed at`(_ document: String) {
        #expect(KeyAttributesDocument.decode(document) == nil)
    }
}

@Suite("The subject of a change") struct CatalogueSubjectTests {
    @Test func `services are their numbers and kinds of documents numbers below zero, each its own`() {
        let subjects = [CatalogueSubject.service(ServiceID(1)), .service(ServiceID(.max))] + DocumentKind.allCases.map { .documents($0) }
        // In the order of the cases. A number stands in stores: none is ever given to another kind.
        #expect(subjects.map(\.number) == [1, .max, -1, -2, -3, -6, -4, -5])
        #expect(subjects.map { CatalogueSubject(number: $0.number) } == subjects)
    }

    @Test func `a kind of a later version is passed over`() {
        let news = CatalogueNews(numbers: [7, -1, -99, 3, 7], revision: 12)
        #expect(news == CatalogueNews(changedServices: [ServiceID(7), ServiceID(3)], changedDocuments: [.client], revision: 12))
    }
}
