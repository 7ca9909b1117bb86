from marshmallow import Schema, fields


class AddressSchema(Schema):
    town = fields.String()
    country = fields.String()
