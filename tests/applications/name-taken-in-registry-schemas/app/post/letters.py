from marshmallow import Schema, fields


class LetterSchema(Schema):
    address = fields.Nested("AddressSchema")
