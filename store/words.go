package store

import "dirsync"

// otherType marks a type that has no number.
const otherType = 255

// typeNumber gives a value's type in one byte. The numbers are on disk and must never change.
func typeNumber(t dirsync.Type) byte {
	switch t {
	case "":
		return 0
	case dirsync.Text:
		return 1
	case dirsync.Email:
		return 2
	case dirsync.Phone:
		return 3
	case dirsync.Number:
		return 4
	case dirsync.Currency:
		return 5
	case dirsync.Boolean:
		return 6
	case dirsync.Date:
		return 7
	case dirsync.DateTime:
		return 8
	case dirsync.Choice:
		return 9
	case dirsync.Reference:
		return 10
	case dirsync.TextList:
		return 11
	default:
		return otherType
	}
}

func typeOf(n byte) dirsync.Type {
	for _, t := range [...]dirsync.Type{dirsync.Text, dirsync.Email, dirsync.Phone, dirsync.Number, dirsync.Currency,
		dirsync.Boolean, dirsync.Date, dirsync.DateTime, dirsync.Choice, dirsync.Reference, dirsync.TextList} {
		if typeNumber(t) == n {
			return t
		}
	}
	return ""
}

// word returns the name that a number stands for in rows, or "" when there is none. These are names that nearly every
// person's rows hold, so that writing them out would make up a third of the file. The numbers are on disk: names may
// be added at the end, and nothing else may ever change.
func word(n byte) string {
	words := [...]string{
		"", dirsync.FirstName, dirsync.LastName, dirsync.EmailAddress,
		"accountEnabled", "businessPhones", "city", "companyName", "country", "createdDateTime", "department",
		"displayName", "employeeHireDate", "employeeId", "employeeType", "givenName", "jobTitle", "mail", "mailNickname",
		"mobilePhone", "officeLocation", "onPremisesSamAccountName", "onPremisesImmutableId", "onPremisesSyncEnabled",
		"otherMails", "postalCode", "preferredLanguage", "proxyAddresses", "state", "streetAddress", "surname",
		"usageLocation", "userPrincipalName", "userType", "id", "externalUserState", "creationType", "assignedLicenses",
	}
	if int(n) >= len(words) {
		return ""
	}
	return words[n]
}

// wordNumber is the inverse of word; 0 means that the name is to be written out.
func wordNumber(s string) byte {
	switch s {
	case dirsync.FirstName:
		return 1
	case dirsync.LastName:
		return 2
	case dirsync.EmailAddress:
		return 3
	case "accountEnabled":
		return 4
	case "businessPhones":
		return 5
	case "city":
		return 6
	case "companyName":
		return 7
	case "country":
		return 8
	case "createdDateTime":
		return 9
	case "department":
		return 10
	case "displayName":
		return 11
	case "employeeHireDate":
		return 12
	case "employeeId":
		return 13
	case "employeeType":
		return 14
	case "givenName":
		return 15
	case "jobTitle":
		return 16
	case "mail":
		return 17
	case "mailNickname":
		return 18
	case "mobilePhone":
		return 19
	case "officeLocation":
		return 20
	case "onPremisesSamAccountName":
		return 21
	case "onPremisesImmutableId":
		return 22
	case "onPremisesSyncEnabled":
		return 23
	default:
		return wordNumberMore(s)
	}
}

func wordNumberMore(s string) byte {
	switch s {
	case "otherMails":
		return 24
	case "postalCode":
		return 25
	case "preferredLanguage":
		return 26
	case "proxyAddresses":
		return 27
	case "state":
		return 28
	case "streetAddress":
		return 29
	case "surname":
		return 30
	case "usageLocation":
		return 31
	case "userPrincipalName":
		return 32
	case "userType":
		return 33
	case "id":
		return 34
	case "externalUserState":
		return 35
	case "creationType":
		return 36
	case "assignedLicenses":
		return 37
	default:
		return 0
	}
}
