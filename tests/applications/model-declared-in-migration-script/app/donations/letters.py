def salutation(donor):
    return "Dear %s %s," % (donor.given_name, donor.family_name)
